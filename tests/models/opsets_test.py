"""Every supported opset: the file says so, is valid and right. Fused operators are used where the opset has them.

    opsets_test.py MODELEXPORT FOLDER NAME
"""

import pathlib
import shutil
import sys

import onnx

import checkpoints
import checks

OPSETS = range(17, 24)
FUSED_SINCE = {"LayerNormalization": 17, "Gelu": 20}


def main(command: str, folder: str, name: str) -> None:
    path = checkpoints.traced(name, pathlib.Path(folder) / "checkpoints")
    output = pathlib.Path(folder) / "opsets" / path.stem
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    module, examples = checkpoints.load(path)
    for opset in OPSETS:
        onnx_file = output / f"{opset}.onnx"
        options = [*checkpoints.input_options(path), "--opset", opset, "--weights", "embed"]
        checks.run(command, "export", path, "-o", onnx_file, *options)
        checks.check_onnx(onnx_file)
        model = onnx.load(str(onnx_file))
        assert {i.domain: i.version for i in model.opset_import}[""] == opset, model.opset_import
        types = {node.op_type for node in checks.all_nodes(model.graph)}
        for op_type, since in FUSED_SINCE.items():
            assert op_type not in types or opset >= since, f"{op_type} is not in opset {opset}"
        if "bert" in path.stem:
            assert all(t in types for t, since in FUSED_SINCE.items() if opset >= since), f"{opset}: {types}"
        session = checks.Session(onnx_file)
        for inputs in examples:
            checks.check_numbers(session, module, inputs)
    shutil.rmtree(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
