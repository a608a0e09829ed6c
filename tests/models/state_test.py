"""Modules that change their own state: the exported file, called in a row, gives what the module gives.

    state_test.py MODELEXPORT FOLDER
"""

import pathlib
import shutil
import sys
from typing import Dict, List

import numpy as np
import onnx
import torch

import checks


class FixedCache(torch.nn.Module):
    """A buffer of fixed size, written to at the position that a counter tells."""

    def __init__(self):
        super().__init__()
        self.register_buffer("keys", torch.zeros(6, 4))
        self.position: int = 0

    def forward(self, x):
        self.keys[self.position] = x[0]
        self.position += 1
        return self.keys.sum(0) * x


class Attention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.query = torch.nn.Linear(4, 4)
        self.cache = torch.zeros(1, 0, 4)

    def forward(self, x):
        self.cache = torch.cat([self.cache, x], 1)
        scores = torch.softmax(self.query(x) @ self.cache.transpose(1, 2), -1)
        return scores @ self.cache


class GrowingCache(torch.nn.Module):
    """A tensor that grows by what each call brings, in a submodule that is called twice."""

    def __init__(self):
        super().__init__()
        self.attention = Attention()

    def forward(self, x):
        return self.attention(self.attention(x))


class Containers(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers: List[torch.Tensor] = [torch.zeros(2, 3), torch.ones(2, 3)]
        self.named: Dict[str, torch.Tensor] = {"mean": torch.zeros(3)}

    def forward(self, x):
        for i in range(len(self.layers)):
            self.layers[i] = self.layers[i] * 0.5 + x
        self.named["mean"] = 0.9 * self.named["mean"] + 0.1 * x.mean(0)
        return self.layers[0] - self.layers[1] + self.named["mean"]


class Numbers(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale: float = 1.0
        self.started: bool = False
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, x):
        if self.started:
            x = x + 1.0
        self.started = True
        self.scale *= 0.5
        self.calls += 1
        return x * self.scale, self.calls * 2


class BatchNorm(torch.nn.Module):
    """Statistics that each call updates, as in training."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("var", torch.ones(3))

    def forward(self, x):
        return torch.nn.functional.batch_norm(x, self.mean, self.var, None, None, True, 0.2)


CASES = {
    "fixed_cache": (FixedCache, torch.randn(1, 4), ["keys", "position"]),
    "growing_cache": (GrowingCache, torch.randn(1, 2, 4), ["attention.cache"]),
    "containers": (Containers, torch.randn(2, 3), ["layers.0", "layers.1", "named.mean"]),
    "numbers": (Numbers, torch.randn(3), ["calls", "scale", "started"]),
    "batch_norm": (BatchNorm, torch.randn(8, 3), ["mean", "var"]),
}


def flatten(values) -> list[torch.Tensor]:
    return [torch.as_tensor(v) for v in (values if isinstance(values, tuple) else (values,))]


def initial(module: torch.jit.ScriptModule, name: str):
    """The value of a state input: "attention.cache", "layers.0", "named.mean"."""
    value = module
    for part in name.split("."):
        value = value[part] if isinstance(value, dict) else (
            value[int(part)] if isinstance(value, list) else getattr(value, part)
        )  # fmt: skip
    return torch.as_tensor(value, dtype=torch.float64 if isinstance(value, float) else None)


def check(command: str, folder: pathlib.Path, name: str) -> None:
    make, x, names = CASES[name]
    torch.manual_seed(0)
    path, file = folder / f"{name}.pt", folder / f"{name}.onnx"
    torch.jit.script(make().eval()).save(path)
    torch.save(x, folder / "x.pt")
    options = ("--inputs", folder / "x.pt", "--state", "inputs-outputs")
    checks.run(command, "export", path, "-o", file, "--verify", *options)
    verified = checks.run(command, "verify", file, "--model", path, *options).stdout
    assert "call 3 of 3" in verified, verified
    checks.check_onnx(file)
    module = torch.jit.load(str(path)).eval()
    checks.check_tags(onnx.load(str(file)), module)
    session = checks.Session(file)
    assert session.input_names == ["x", *names], session.input_names
    assert session.output_names[-len(names) :] == [f"{n}_out" for n in names], session.output_names

    state = {n: initial(module, n).clone().numpy() for n in names}
    for call in range(5):
        y = torch.randn_like(x)
        with torch.no_grad():
            expected = flatten(module(y))
        found = session.session.run(None, {"x": y.numpy(), **state})
        for e, f in zip(expected, found):
            assert e.shape == f.shape, f"{name}, call {call}: {f.shape} instead of {e.shape}"
            assert np.allclose(f, e.numpy(), rtol=1e-4, atol=1e-5), f"{name}, call {call}: {f} instead of {e}"
        state = dict(zip(names, found[len(expected) :]))
    print(name, "ok")


def check_warning(command: str, folder: pathlib.Path) -> None:
    """By default the file is the first call, and a warning names each attribute."""
    result = checks.run(command, "export", folder / "numbers.pt", "--input", "x:float32[3]", "--verify")
    for name in ("scale", "started", "calls"):
        assert (
            f"modelexport: warning: {name} is changed by forward; the exported model does not keep the change between "
            "calls (--state inputs-outputs makes it an input and an output)\n" in result.stderr
        ), result.stderr
    result = checks.run(command, "export", folder / "containers.pt", "--input", "x:float32[2,3]", "--verify")
    assert "warning: layers is changed" in result.stderr and "warning: named is changed" in result.stderr, result.stderr


class Appends(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.seen: List[torch.Tensor] = [torch.zeros(3)]

    def forward(self, x):
        self.seen.append(x)
        return x + 1


def check_refusal(command: str, folder: pathlib.Path) -> None:
    torch.jit.script(Appends()).save(folder / "appends.pt")
    result = checks.run(
        command, "export", folder / "appends.pt", "--input", "x:float32[3]", "--state", "inputs-outputs", status=3
    )
    assert result.stderr == (
        "modelexport: error: seen is changed by forward, but cannot become an input and an output: the number of its "
        "elements changes from call to call\n"
    ), result.stderr


def main(command: str, folder: str) -> None:
    path = pathlib.Path(folder) / "state"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    for name in CASES:
        check(command, path, name)
    check_warning(command, path)
    check_refusal(command, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
