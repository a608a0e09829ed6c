#!/usr/bin/env python3
"""Runs modelexport and the other exporters on the same models, each in a process of its own, and writes a table.

    scripts/compare_exporters.py [-o TABLE.md] [--runs 3] [--exporters a,b] [MODEL...]

Models are names that models/trace.py knows. The others are run where they are installed (all are on PyPI:
openvino, pnnx; onnxscript for torch's dynamo exporter); where not, or where they fail, the table says so.

wall       the whole process, from start to exit: that is, with Python's imports where it needs Python, and with
           making the model where it cannot read a checkpoint
export     the export call alone: modelexport from the checkpoint's opening, the others from the loaded model
memory     peak resident set of the process
file       of all that was written; nodes, of all graphs
latency    of the file in ONNX Runtime on the example inputs, median of 20 runs, one thread
Figures are medians over --runs; x is the ratio of wall time to modelexport's.
"""

import argparse
import concurrent.futures
import dataclasses
import importlib.metadata
import importlib.util
import itertools
import json
import multiprocessing
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "models"))

DEFAULT_MODELS = (
    "google/bert_uncased_L-2_H-128_A-2", "bert-base-uncased", "gpt2", "google/flan-t5-small", "llama-2-layers",
)  # fmt: skip


# ---- the others: each function runs in a process of its own and returns the time of the export call -----------
def eager(name: str):
    import logging
    import warnings

    import architectures
    import torch

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    model, make_inputs = architectures.make(name, None)
    return model.eval(), make_inputs(2, 12)


def timed(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def dynamic_axes(inputs) -> dict[str, dict[int, str]]:
    text = lambda n: n.endswith("ids") or n.endswith("mask")  # noqa: E731
    return {n: {0: "batch", 1: n + "_length"} if text(n) else {0: "batch"} for n in inputs}


def torchscript_eager(name: str, checkpoint: str, output: str) -> float:
    import torch

    model, inputs = eager(name)

    class ByPosition(torch.nn.Module):  # this exporter loses track of keyword arguments
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *tensors):
            return self.model(**dict(zip(inputs, tensors)))

    call = ByPosition()
    return timed(lambda: torch.onnx.export(call, tuple(inputs.values()), output, dynamo=False, opset_version=17,
                 input_names=list(inputs), dynamic_axes=dynamic_axes(inputs)))  # fmt: skip


def torchscript_module(name: str, checkpoint: str, output: str) -> float:
    import torch

    module = torch.jit.load(checkpoint)
    inputs = torch.load(pathlib.Path(checkpoint).with_suffix(".inputs.pt"))
    return timed(lambda: torch.onnx.export(module, tuple(inputs.values()), output, dynamo=False, opset_version=17,
                 input_names=list(inputs), dynamic_axes=dynamic_axes(inputs)))  # fmt: skip


def dynamo(name: str, checkpoint: str, output: str) -> float:
    import torch

    model, inputs = eager(name)
    dim = torch.export.Dim.AUTO
    shapes = {n: {axis: dim for axis in axes} for n, axes in dynamic_axes(inputs).items()}
    return timed(lambda: torch.onnx.export(model, (), output, kwargs=inputs, dynamo=True, dynamic_shapes=shapes,
                 verbose=False))  # fmt: skip


def openvino_eager(name: str, checkpoint: str, output: str) -> float:
    return convert_with_openvino(*eager(name), output)


def openvino_module(name: str, checkpoint: str, output: str) -> float:
    import torch

    inputs = torch.load(pathlib.Path(checkpoint).with_suffix(".inputs.pt"))
    return convert_with_openvino(torch.jit.load(checkpoint), inputs, output)


def convert_with_openvino(model, inputs, output: str) -> float:
    import openvino

    def convert() -> None:
        converted = openvino.convert_model(model, example_input=inputs)
        openvino.save_model(converted, output.replace(".onnx", ".xml"), compress_to_fp16=False)

    return timed(convert)


@dataclasses.dataclass
class Exporter:
    title: str
    call: object = None  # one of the functions above; None: a command
    package: str | None = None


EXPORTERS = {
    "modelexport": Exporter("modelexport"),
    "torchscript-eager": Exporter("torch.onnx, TorchScript, from eager", torchscript_eager),
    "torchscript-module": Exporter("torch.onnx, TorchScript, from the ScriptModule", torchscript_module),
    "dynamo": Exporter("torch.onnx, dynamo", dynamo, "onnxscript"),
    "openvino-eager": Exporter("OpenVINO, from eager", openvino_eager, "openvino"),
    "openvino-module": Exporter("OpenVINO, from the ScriptModule", openvino_module, "openvino"),
    "pnnx": Exporter("pnnx", None, "pnnx"),
}


# ---- measuring ---------------------------------------------------------------------------------------------------
@dataclasses.dataclass
class Run:
    wall: float
    memory_mb: float
    export: float | None


class Failed(Exception):
    pass


def elsewhere(function, *arguments):
    """Calls it in another process. A child's peak memory begins at its parent's, so this one must stay small."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def pnnx_shapes(checkpoint: pathlib.Path) -> str:
    import torch

    letters = {torch.int64: "i64", torch.float32: "f32"}
    inputs = torch.load(checkpoint.with_suffix(".inputs.pt"))
    return ",".join(f"{list(t.shape)}{letters[t.dtype]}".replace(" ", "") for t in inputs.values())


def command_of(exporter: str, name: str, checkpoint: pathlib.Path, output: pathlib.Path, metrics: pathlib.Path):
    if exporter == "modelexport":
        inputs = [checkpoint.with_suffix(suffix) for suffix in (".inputs.pt", ".inputs2.pt")]
        options = [part for file in inputs for part in ("--inputs", file)]
        return [ROOT / "bin/modelexport", "export", checkpoint, "-o", output, *options, "--quiet",
                "--metrics", metrics]  # fmt: skip
    if exporter == "pnnx":
        binary = pathlib.Path(importlib.util.find_spec("pnnx").origin).parent / "pnnx"
        return [binary, output.parent / checkpoint.name, f"inputshape={elsewhere(pnnx_shapes, checkpoint)}"]
    return [sys.executable, __file__, "--one", exporter, name, checkpoint, output, metrics]


def measure(exporter: str, name: str, checkpoint: pathlib.Path, folder: pathlib.Path) -> Run:
    """Exports into an empty folder, in a process of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    output, metrics = folder / "model.onnx", folder / "metrics.json"
    if exporter == "pnnx":  # writes beside its input
        os.symlink(checkpoint, folder / checkpoint.name)
    command = [str(c) for c in command_of(exporter, name, checkpoint, output, metrics)]
    start = time.perf_counter()
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    if process.returncode != 0:
        lines = [line for line in (folder / "log").read_text(errors="replace").splitlines() if line.strip()]
        raise Failed(lines[-1][:100] if lines else f"exit code {process.returncode}")
    export = None
    if metrics.exists():
        recorded = json.loads(metrics.read_text())
        export = recorded.get("total_time")
        metrics.unlink()
    (folder / "log").unlink()
    if exporter == "pnnx":
        (folder / checkpoint.name).unlink()
    return Run(wall, usage.ru_maxrss / 1024, export)


def nodes_of(onnx_file: pathlib.Path) -> int:
    import onnx

    def count(graph) -> int:
        inner = (attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g"))
        return len(graph.node) + sum(map(count, inner))

    return count(onnx.load(str(onnx_file), load_external_data=False).graph)


def latency_of(onnx_file: pathlib.Path, checkpoint: pathlib.Path) -> float:
    """Milliseconds."""
    import numpy as np
    import onnxruntime
    import torch

    inputs = torch.load(checkpoint.with_suffix(".inputs.pt"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(onnx_file), options, providers=["CPUExecutionProvider"])
    # Names of inputs may differ between exporters, their order does not. Some add forward's other arguments.
    feeds = {}
    for i, tensor in itertools.zip_longest(session.get_inputs(), inputs.values()):
        if i is not None:
            value = inputs.get(i.name, tensor)
            feeds[i.name] = np.zeros(i.shape, np.int64) if value is None else value.numpy()
    session.run(None, feeds)
    return 1000 * statistics.median(timed(lambda: session.run(None, feeds)) for _ in range(20))


def row(title: str, runs: list[Run], folder: pathlib.Path, checkpoint: pathlib.Path, base: float | None) -> str:
    wall = statistics.median(run.wall for run in runs)
    exports = [run.export for run in runs if run.export is not None]
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    onnx_file = folder / "model.onnx"
    nodes = latency = "-"
    if onnx_file.exists():
        nodes = str(elsewhere(nodes_of, onnx_file))
        try:
            latency = f"{elsewhere(latency_of, onnx_file, checkpoint):.1f} ms"
        except Exception as error:  # whatever ONNX Runtime has against the file
            print(f"{onnx_file}: {error}", file=sys.stderr)
            latency = "does not run"
    return (
        f"| {title} | {wall:.2f} s | {'-' if base is None else f'{wall / base:.1f}x'} | "
        f"{f'{statistics.median(exports):.2f} s' if exports else '-'} | "
        f"{statistics.median(run.memory_mb for run in runs):.0f} MB | {size / 1e6:.1f} MB | {nodes} | {latency} |"
    )


def compare(name: str, arguments: argparse.Namespace, work: pathlib.Path) -> list[str]:
    checkpoint = arguments.checkpoints / (pathlib.Path(name).name + ".pt")
    if not checkpoint.with_suffix(".inputs2.pt").exists():
        trace = [sys.executable, ROOT / "models/trace.py", name, "-o", checkpoint, "--inputs"]
        subprocess.run([str(c) for c in trace], check=True, stdout=subprocess.DEVNULL)
    copies = [timed(lambda: subprocess.run(["cp", str(checkpoint), str(work / "copy")], check=True)) for _ in range(3)]
    (work / "copy").unlink()
    lines = [
        f"### {name} ({checkpoint.stat().st_size / 1e6:.0f} MB; `cp` {statistics.median(copies):.2f} s)",
        "",
        "| exporter | wall | x | export | memory | file | nodes | latency |",
        "|---|---|---|---|---|---|---|---|",
    ]
    runs, problems = {exporter: [] for exporter in arguments.exporters}, {}
    for _ in range(arguments.runs):  # in turns, so that a busy machine is equally busy for all
        for exporter in arguments.exporters:
            package = EXPORTERS[exporter].package
            if package and not importlib.util.find_spec(package):
                problems[exporter] = "not installed"
            if exporter in problems:
                continue
            print(f"{name}: {EXPORTERS[exporter].title}", file=sys.stderr)
            try:
                runs[exporter].append(measure(exporter, name, checkpoint, work / exporter))
            except Failed as error:
                problems[exporter] = f"fails: {str(error).replace('|', ' ')}"
    base = None
    if runs.get("modelexport") and "modelexport" not in problems:
        base = statistics.median(run.wall for run in runs["modelexport"])
    for exporter in arguments.exporters:
        title = EXPORTERS[exporter].title
        if exporter in problems:
            lines.append(f"| {title} | {problems[exporter]} | | | | | | |")
        else:
            lines.append(row(title, runs[exporter], work / exporter, checkpoint, base))
        shutil.rmtree(work / exporter, ignore_errors=True)
    return [*lines, ""]


def versions() -> str:
    packages = ("torch", "onnx", "onnxruntime", "onnxscript", "openvino", "pnnx", "transformers")
    installed = [p for p in packages if importlib.util.find_spec(p)]
    return ", ".join(f"{p} {importlib.metadata.version(p)}" for p in installed)


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        exporter, name, checkpoint, output, metrics = sys.argv[2:]
        seconds = EXPORTERS[exporter].call(name, checkpoint, output)
        pathlib.Path(metrics).write_text(json.dumps({"total_time": seconds}))
        return

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=DEFAULT_MODELS, metavar="MODEL")
    parser.add_argument("-o", "--output", type=pathlib.Path, help="Markdown file to write; default: standard output")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--exporters", default=",".join(EXPORTERS), type=lambda text: text.split(","))
    parser.add_argument("--checkpoints", type=pathlib.Path, default=ROOT / "build/bench", help="where they are kept")
    arguments = parser.parse_args()
    if unknown := set(arguments.exporters) - set(EXPORTERS):
        parser.error(f"no such exporter: {', '.join(unknown)}; there are {', '.join(EXPORTERS)}")
    if "modelexport" in arguments.exporters and not (ROOT / "bin/modelexport").exists():
        parser.error("bin/modelexport is missing; scripts/setup builds it")

    arguments.checkpoints = arguments.checkpoints.resolve()
    arguments.checkpoints.mkdir(parents=True, exist_ok=True)
    lines = [f"{os.cpu_count()} cores; medians of {arguments.runs} runs; {versions()}.", ""]
    with tempfile.TemporaryDirectory(dir=arguments.checkpoints) as work:  # one file system: `cp` is comparable
        for name in arguments.models:
            lines += compare(name, arguments, pathlib.Path(work))
    table = "\n".join(lines)
    arguments.output.write_text(table) if arguments.output else print(table)


if __name__ == "__main__":
    main()
