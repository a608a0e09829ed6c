"""verify --per-module looks into loops and branches, and names what is broken in them.

    per_module_control_test.py MODELEXPORT FOLDER
"""

import ast
import json
import pathlib
import shutil
import sys

import numpy as np
import onnx
import torch
from torch import Tensor, nn

import checks
import scripted_modules
import scripted_test


class Step(nn.Module):
    def __init__(self):
        super().__init__()
        self.positive, self.negative = nn.Linear(4, 4), nn.Linear(4, 4)
        self.last = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        if bool(x.sum() > 0):
            x = self.positive(x).relu()
        else:
            x = self.negative(x).tanh()
        for _ in range(x.size(0)):  # a loop within the loop
            x = self.last(x) * 0.5
        return x


class Control(nn.Module):
    """Takes the one branch in the first iteration, and the other in later ones."""

    def __init__(self):
        super().__init__()
        self.first, self.step = nn.Linear(4, 4), Step()

    def forward(self, x: Tensor, steps: Tensor) -> Tensor:
        x = self.first(x).abs()
        for i in range(int(steps)):
            x = self.step(x) - 1.0
        return x


# What is broken in which model, and the calls that are not made in the first iteration.
BROKEN = {
    "Control": ["first", "step.positive", "step.last"],
    "GreedyUntilAllEnd": ["step.key", "step.head"],
}
NOT_COMPARED = {"Control": {"step.negative"}}
scripted_modules.exported(
    {"x": torch.rand(2, 4), "steps": torch.tensor(3)}, {"x": torch.rand(3, 4), "steps": torch.tensor(4)}
)(Control)


def break_weight(file: pathlib.Path, broken: pathlib.Path, name: str) -> None:
    model = onnx.load(str(file))
    tensor = next(t for t in model.graph.initializer if t.name == f"{name}.weight")
    tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) + np.float32(0.5), tensor.name))
    onnx.save(model, str(broken))


def main(command: str, folder: str) -> None:
    output = pathlib.Path(folder) / "per_module_control"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    for name, parts in BROKEN.items():
        job = scripted_test.save(name, output)
        inputs = [part for file in job["inputs"] for part in ("--inputs", file)]
        for functions in ([], ["--functions"]):
            checks.run(command, "export", job["model"], "-o", job["output"], *inputs, *functions)

            def verify(file: pathlib.Path, status: int):
                result = checks.run(
                    command, "verify", file, "--model", job["model"], *inputs, "--per-module", "--json", status=status
                )
                return json.loads(result.stdout)

            report = verify(job["output"], 0)
            assert report["first_difference"] is None
            skipped = {module["module"] for module in report["modules"] if not module["compared"]}
            assert skipped == NOT_COMPARED.get(name, set()), (name, skipped)
            assert all(m["in_loop"] == m["module"].startswith("step") for m in report["modules"]), report["modules"]
            for part in parts:
                broken = output / "broken.onnx"
                break_weight(job["output"], broken, part)
                report = verify(broken, 4)
                first = report["first_difference"]
                assert first["module"] == part and first["operator"] == "aten::linear", (part, first)
                print(f"{name} {' '.join(functions)}: {first['text']}")
                if functions:
                    continue
                node = next(n for n in checks.all_nodes(onnx.load(str(broken)).graph) if n.name == first["node"])
                scopes = ast.literal_eval(checks.metadata(node)["pkg.torch.onnx.name_scopes"])
                assert scopes[-2] == part, (scopes, part)
            for part in NOT_COMPARED.get(name, ()):  # what it does shows after the loop alone
                break_weight(job["output"], broken, part)
                first = verify(broken, 4)["first_difference"]
                assert (first["module"], first["operator"]) == ("", "prim::Loop"), first
    shutil.rmtree(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
