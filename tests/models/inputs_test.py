"""All ways to describe inputs give a right model: none at all, files, specs with named dimensions, --dynamic auto.

    inputs_test.py MODELEXPORT FOLDER
"""

import pathlib
import shutil
import sys

import onnx
import torch

import checkpoints
import checks

SPECS = [
    "--input", "input_ids:int64[batch=2,seq=12]=range(0,30000)",
    "--input", "attention_mask:int64[batch=2,seq=12]",
]  # fmt: skip


class Positions(torch.nn.Module):
    """Takes no more than 300 of them. The table is large: finding that out must not need to read it."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(300, 128)

    def forward(self, x):
        return x + self.table(torch.arange(x.size(1)))


def dimensions(onnx_file: pathlib.Path) -> dict[str, list[str | int]]:
    model = onnx.load(str(onnx_file), load_external_data=False)
    return {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in model.graph.input
    }


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
    shutil.rmtree(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
