"""All ways to describe inputs give a right model: none at all, files, specs with named dimensions, --dynamic auto.

    inputs_test.py MODELEXPORT FOLDER
"""

import pathlib
import shutil
import sys
from typing import Tuple

import onnx
import torch
from torch import Tensor, nn

import checkpoints
import checks

SPECS = [
    "--input", "input_ids:int64[batch=2,seq=12]=range(0,30000)",
    "--input", "attention_mask:int64[batch=2,seq=12]",
]  # fmt: skip


class Positions(nn.Module):
    """Takes no more than 300 of them. The table is large: finding that out must not need to read it."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(300, 128)

    def forward(self, x):
        return x + self.table(torch.arange(x.size(1)))


class Scaled(nn.Module):
    def forward(self, x: Tensor, n: int, scale: float, flag: bool) -> Tuple[Tensor, Tensor]:
        if flag:
            x = x * scale
        for k in range(n):
            x = x + k
        return x[:, :n], x.repeat(n, 1)


def dimensions(onnx_file: pathlib.Path) -> dict[str, list[str | int]]:
    model = onnx.load(str(onnx_file), load_external_data=False)
    return {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in model.graph.input
    }


def check_numbers_as_inputs(command: str, output: pathlib.Path) -> None:
    """They are inputs where the examples differ in them, or the specification has a type."""
    scaled = output / "scaled.pt"
    torch.jit.script(Scaled().eval()).save(str(scaled))
    files = [output / f"scaled{k}.pt" for k in range(2)]
    for file, n, flag in zip(files, (3, 4), (True, False)):
        torch.save({"x": torch.randn(2, 3), "n": n, "scale": 0.5, "flag": flag}, file)
    given = ["--inputs", files[0], "--inputs", files[1]]
    made = ["--input", "x:float32[2,3]", "--input", "n:int=3", "--input", "scale=0.5", "--input", "flag:bool=true"]
    for name, options in (("given", given), ("made", made)):
        onnx_file = output / f"{name}.onnx"
        checks.run(command, "export", scaled, "-o", onnx_file, *options, "--verify")
        assert dimensions(onnx_file) == {"x": [2, 3], "n": [], "flag": []}, dimensions(onnx_file)
        session, module = checks.Session(onnx_file), torch.jit.load(str(scaled))
        for n, flag in ((7, True), (7, False), (1, False)):
            inputs = {"x": torch.randn(2, 3), "n": n, "scale": 0.5, "flag": flag}
            checks.check_numbers(session, module, inputs)
        # One example tells nothing of what varies; the file does. It can hold numbers as tensors, too.
        single = output / "single.pt"
        torch.save({"x": torch.randn(2, 3), "n": torch.tensor(9), "scale": 0.5, "flag": True}, single)
        verified = checks.run(command, "verify", onnx_file, "--model", scaled, "--inputs", single)
        assert "x float32 [2, 3], n=9, flag=true" in verified.stdout, verified.stdout
        checks.run(command, "validate", "--input", onnx_file, "--model", scaled, *given)


class Squeezed(torch.nn.Module):
    def forward(self, x):
        return x.squeeze(0)


def check_rank_that_depends_on_a_size(command: str, output: pathlib.Path) -> None:
    squeezed = output / "squeezed.pt"
    torch.jit.script(Squeezed().eval()).save(str(squeezed))
    result = checks.run(command, "export", squeezed, "-o", output / "squeezed.onnx", "--input", "x:float32[b=2,3]")
    assert (
        "modelexport: warning: the rank of what aten::squeeze in the root module (Squeezed), inputs_test.py:"
        in result.stderr
        and " gives depends on whether a dynamic size is 1; it is exported for sizes that are not" in result.stderr
    ), result.stderr


def main(command: str, folder: str) -> None:
    output = pathlib.Path(folder) / "inputs"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    path = checkpoints.traced("google/bert_uncased_L-2_H-128_A-2", pathlib.Path(folder) / "checkpoints")
    module, examples = checkpoints.load(path)
    others = checks.other_sizes(*examples)

    def export(name: str, *options: str) -> tuple[checks.Session, dict[str, list[str | int]]]:
        onnx_file = output / f"{name}.onnx"
        checks.run(command, "export", path, "-o", onnx_file, *options)
        return checks.Session(onnx_file), dimensions(onnx_file)

    # The checkpoint knows what it was traced with: one example, so all is static.
    session, dims = export("none")
    assert dims == {"input_ids": [2, 12], "attention_mask": [2, 12]}, dims
    checks.check_numbers(session, module, examples[0])

    session, dims = export("one_file", "--inputs", str(checkpoints.input_files(path)[1]))
    assert dims == {"input_ids": [3, 7], "attention_mask": [3, 7]}, dims
    checks.check_numbers(session, module, examples[1])

    # Two of different sizes: what differs is dynamic, what agrees in both has one name.
    for name, options in (("files", checkpoints.input_options(path)), ("auto", ["--dynamic", "auto"])):
        session, dims = export(name, *options)
        assert dims["input_ids"] == dims["attention_mask"] and all(isinstance(d, str) for d in dims["input_ids"]), dims
        for inputs in [*examples, *others]:
            checks.check_numbers(session, module, inputs)

    session, dims = export("specs", *SPECS)
    assert dims == {"input_ids": ["batch", "seq"], "attention_mask": ["batch", "seq"]}, dims
    for inputs in [*examples, *others]:
        checks.check_numbers(session, module, inputs)

    # A static dimension stays one.
    session, dims = export("static", *(spec.replace("seq=", "") for spec in SPECS))
    assert dims == {"input_ids": ["batch", 12], "attention_mask": ["batch", 12]}, dims
    checks.check_numbers(session, module, examples[0])
    # A size at which an index points outside of a table is none that the module runs at.
    positions = output / "positions.pt"
    torch.jit.script(Positions().eval()).save(str(positions))
    onnx_file = output / "positions.onnx"
    checks.run(command, "export", positions, "-o", onnx_file, "--verify",
               "--input", "x:float32[2,300,128]", "--dynamic", "auto")  # fmt: skip
    dims = dimensions(onnx_file)["x"]
    assert isinstance(dims[0], str) and isinstance(dims[1], str) and dims[2] == 128, dims
    checks.check_numbers(checks.Session(onnx_file), torch.jit.load(str(positions)), {"x": torch.randn(3, 300, 128)})
    check_numbers_as_inputs(command, output)
    check_rank_that_depends_on_a_size(command, output)
    shutil.rmtree(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
