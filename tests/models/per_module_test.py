"""verify --per-module finds nothing in a good file, and in a broken one the module and node that are broken.

    per_module_test.py MODELEXPORT FOLDER NAME
"""

import ast
import json
import pathlib
import shutil
import sys

import numpy as np
import onnx

import checkpoints
import checks

# Operators to swap for others that take the same inputs, and attributes to change.
SWAPPED = {"Softmax": "LogSoftmax", "LayerNormalization": None, "Gelu": "Tanh", "Relu": "Sigmoid", "Tanh": "Sigmoid"}


def module_of(node) -> str:
    return ast.literal_eval(checks.metadata(node)["pkg.torch.onnx.name_scopes"])[-2]


def broken_weight(model, folder: pathlib.Path):
    """Changes a matrix in the middle of the model; the node that uses it, and where it is now wrong."""
    node, tensor = next(
        (node, tensor)
        for node in list(model.graph.node)[len(model.graph.node) // 2 :]
        for tensor in model.graph.initializer
        if tensor.name in node.input and node.op_type in ("MatMul", "Gemm", "Conv", "Transpose") and tensor.external_data
    )
    place = {entry.key: entry.value for entry in tensor.external_data}
    with open(folder / place["location"], "r+b") as data:
        data.seek(int(place["offset"]))
        values = np.frombuffer(data.read(int(place["length"])), np.float32)
        data.seek(int(place["offset"]))
        data.write((values + 0.5).tobytes())
    return node


def broken_operator(model, folder: pathlib.Path):
    node = next(node for node in model.graph.node if SWAPPED.get(node.op_type))
    node.op_type = SWAPPED[node.op_type]
    return node


def broken_attribute(model, folder: pathlib.Path):
    node, attribute = next(
        (node, attribute)
        for node in reversed(model.graph.node)
        for attribute in node.attribute
        if (node.op_type, attribute.name) in (("LayerNormalization", "epsilon"), ("BatchNormalization", "epsilon"))
        or (node.op_type, attribute.name) == ("Conv", "pads") and attribute.ints[2] > 0
    )
    if attribute.name == "epsilon":
        attribute.f = 10.0
    else:
        attribute.ints[:] = [attribute.ints[0] + 1, attribute.ints[1], attribute.ints[2] - 1, attribute.ints[3]]
    return node


def main(command: str, folder: str, name: str) -> None:
    path = checkpoints.traced(name, pathlib.Path(folder) / "checkpoints")
    output = pathlib.Path(folder) / "per_module" / path.stem
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    good, broken = output / "good.onnx", output / "broken.onnx"
    inputs = checkpoints.input_options(path)
    checks.run(command, "export", path, "-o", good, *inputs)

    def verify(file: pathlib.Path, status: int):
        result = checks.run(
            command, "verify", file, "--model", path, *inputs, "--per-module", "--json", status=status
        )
        return json.loads(result.stdout), result.stderr

    checks.run(command, "export", path, "-o", output / "nested.onnx", *inputs, "--functions")
    report, _ = verify(output / "nested.onnx", 0)
    compared = sum(module["compared"] for module in report["modules"])
    assert compared > 0.9 * len(report["modules"]), report["modules"]

    report, _ = verify(good, 0)
    modules = report["modules"]
    assert report["first_difference"] is None
    assert all(module["compared"] and module["matches"] for module in modules), modules
    print(f"{len(modules)} module calls agree")

    for breaks in (broken_weight, broken_operator, broken_attribute):
        for file in output.glob("good.onnx*"):
            shutil.copy(file, output / file.name.replace("good", "broken"))
        model = onnx.load(str(broken), load_external_data=False)
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                entry.value = entry.value.replace("good", "broken")
        node = breaks(model, output)
        onnx.save(model, str(broken))
        report, message = verify(broken, 4)
        first = report["first_difference"]
        where = module_of(node)
        assert first["module"] == where, f"{breaks.__name__} in {where}, but found in {first}"
        at = next(i for i, module in enumerate(report["modules"]) if module["module"] == where)
        assert not report["modules"][at]["matches"]
        if node.op_type != "Transpose":  # whose result is no operator's
            assert first["node"].rsplit("/", 1)[0] == node.name.rsplit("/", 1)[0], (first, node.name)
        assert "source" in first and message.startswith("modelexport: error: ONNX Runtime and LibTorch part in "), message
        print(f"{breaks.__name__}: {message.strip()}")
    shutil.rmtree(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
