"""Odd module trees have their right place in tags, tree and hierarchy.json.

    tree_test.py MODELEXPORT FOLDER
"""

import ast
import json
import pathlib
import shutil
import sys

import onnx
import torch

import checks


class Shared(torch.nn.Module):
    """Called three times, twice under its first name and once under another, at different shapes."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x):
        return torch.relu(self.linear(x))


class Pass(torch.nn.Module):
    """Without operations."""

    def forward(self, x):
        return x


class Idle(torch.nn.Module):
    """Never called, with a parameter."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))

    def forward(self, x):
        return x * self.weight


class Odd(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Shared()
        self.second = self.first
        self.passing = Pass()
        self.dropout = torch.nn.Dropout(0.5)
        self.idle = Idle()
        self.unused = torch.nn.Parameter(torch.ones(2))

    def forward(self, x):
        y = self.dropout(self.passing(self.first(x)))
        z = self.first(y.mean(0))
        return self.second(y).sum() + z


def main(command: str, folder: str) -> None:
    path = pathlib.Path(folder) / "tree"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    torch.manual_seed(0)
    module = torch.jit.script(Odd().eval())
    module.save(path / "odd.pt")
    summary = checks.run(
        command, "export", path / "odd.pt", "-o", path / "odd.onnx", "--input", "x:float32[n=2,3,4]", "--verify",
        "--min-parameter-count", "0",
    ).stdout  # fmt: skip
    model = onnx.load(str(path / "odd.onnx"))
    checks.check_onnx(path / "odd.onnx")
    checks.check_tags(model, torch.jit.load(str(path / "odd.pt")))

    # Each call is a scope of its own, under the name that it was reached by; the weights are there once.
    gemms = [n for n in model.graph.node if n.op_type in ("MatMul", "Gemm")]
    scopes = [ast.literal_eval(checks.metadata(n)["pkg.torch.onnx.name_scopes"])[:-1] for n in gemms]
    assert scopes == [["", "first", "first.linear"]] * 2 + [["", "second", "second.linear"]], scopes
    assert len({n.name.rsplit("/", 1)[0] for n in gemms}) == 3, [n.name for n in gemms]
    assert sorted(i.name for i in model.graph.initializer if "." in i.name and "linear" in i.name) == [
        "first.linear.bias", "first.linear.weight"
    ]  # fmt: skip

    hierarchy = json.loads((path / "odd.hierarchy.json").read_text())
    modules = {m["path"]: m for m in hierarchy["modules"]}
    assert {p: (m["calls"], m["in_onnx"]) for p, m in modules.items()} == {
        "": (1, True),
        "first": (2, True),
        "first.linear": (2, True),
        "second": (1, True),
        "second.linear": (1, True),
        "passing": (1, False),
        "dropout": (1, False),
        "idle": (0, False),
    }, modules
    assert not modules["idle"]["executed"] and modules["passing"]["executed"]
    parameters = hierarchy["validation_results"]["parameters"]
    assert {p: parameters[p]["found_in_onnx"] for p in ("idle.weight", "unused", "first.linear.weight")} == {
        "idle.weight": False, "unused": False, "first.linear.weight": True
    }, parameters  # fmt: skip
    assert hierarchy["validation_results"]["success_rate"] == 1
    shared = hierarchy["shared_parameters"]["first.linear.weight"]
    assert "second.linear.weight" in shared["aliases"], shared
    for name in ("idle", "passing", "second"):
        assert name in summary, summary


if __name__ == "__main__":
    main(*sys.argv[1:])
