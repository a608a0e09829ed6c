"""The checkpoints of the end-to-end tests: traced once, then kept until models/ changes."""

import fcntl
import pathlib
import sys

import torch

import checks

MODELS = pathlib.Path(__file__).resolve().parents[2] / "models"


def traced(name: str, folder: pathlib.Path) -> pathlib.Path:
    """The checkpoint that models/trace.py makes of a known architecture, with example inputs beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name.rsplit("/", 1)[-1] + ".pt")
    inputs2 = path.with_suffix(".inputs2.pt")  # is written last
    newest_source = max((MODELS / source).stat().st_mtime for source in ("trace.py", "architectures.py"))
    with open(path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other tests may want it as well
        if not inputs2.exists() or inputs2.stat().st_mtime < newest_source:
            result = checks.run(sys.executable, MODELS / "trace.py", name, "-o", path, "--inputs")
            assert "warning" not in result.stderr, result.stderr
    return path


def made_or_traced(name: str, folder: pathlib.Path) -> pathlib.Path:
    """The checkpoint itself (.pt), or that of a known architecture."""
    return pathlib.Path(name) if name.endswith(".pt") else traced(name, folder)


def input_files(path: pathlib.Path) -> list[pathlib.Path]:
    return [path.with_suffix(".inputs.pt"), path.with_suffix(".inputs2.pt")]


def input_options(path: pathlib.Path) -> list[str]:
    return [part for file in input_files(path) for part in ("--inputs", str(file))]


def load(path: pathlib.Path) -> tuple[torch.jit.ScriptModule, list[dict[str, torch.Tensor]]]:
    """The live module and its example inputs."""
    return torch.jit.load(str(path)).eval(), [
        torch.load(file, weights_only=False) for file in input_files(path)
    ]
