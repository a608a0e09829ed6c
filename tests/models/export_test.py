"""Exports one checkpoint and checks the file with onnx, ONNX Runtime and torch: see checks.py.

    export_test.py MODELEXPORT FOLDER NAME          an architecture that models/trace.py knows
    export_test.py MODELEXPORT FOLDER FILE.pt       a checkpoint of make_checkpoints
"""

import pathlib
import shutil
import sys

import onnx

import checkpoints
import checks

# Some modules own parameters that their forward does not use for these inputs.
MAY_LEAVE_PARAMETERS_OUT = {"frozen", "buffers"}


def main(command: str, folder: str, name: str) -> None:
    path = checkpoints.made_or_traced(name, pathlib.Path(folder) / "checkpoints")
    output = pathlib.Path(folder) / "exported" / path.stem
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)

    onnx_file = output / (path.stem + ".onnx")
    checks.run(command, "export", path, "-o", onnx_file, *checkpoints.input_options(path), "--verify")
    module, examples = checkpoints.load(path)
    model = onnx.load(str(onnx_file), load_external_data=False)

    checks.check_onnx(onnx_file)
    checks.check_tags(model, module)
    weights = checks.check_weights(onnx_file, module, path.stem not in MAY_LEAVE_PARAMETERS_OUT)
    assert [i.name for i in model.graph.input] == list(examples[0]), "inputs are not named as forward's arguments"
    print(f"{len(list(checks.all_nodes(model.graph)))} nodes, {len(weights)} initializers")

    if path.stem != "bfloat16":  # ONNX Runtime and numpy have next to nothing for it on CPUs
        session = checks.Session(onnx_file)
        for inputs in [*examples, *checks.other_sizes(*examples)]:
            worst = checks.check_numbers(session, module, inputs)
            print({n: list(t.shape) for n, t in inputs.items()}, f"max difference {worst:.2g}")
    shutil.rmtree(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
