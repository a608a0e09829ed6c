"""The layers that Model Explorer draws of an exported file are the modules of the TorchScript module.

    model_explorer_test.py MODELEXPORT FOLDER
"""

import json
import pathlib
import sys

import torch

import checkpoints
import checks

try:
    from model_explorer_onnx.main import ONNXAdapter
except ImportError:
    print("skipped: needs model-explorer-onnx (tests/requirements.txt)")
    sys.exit(77)

MODELS = ("google/bert_uncased_L-2_H-128_A-2", "google/flan-t5-small", "convnet")


def class_of(module: torch.jit.ScriptModule) -> str:
    parts = module._c._type().qualified_name().removeprefix("__torch__.").split(".")
    return ".".join(part for part in parts if not part.startswith("___torch_mangle_"))


def layers_of(path: pathlib.Path) -> set[tuple[str, ...]]:
    """From the outermost to each module that has nodes. The last part of a namespace is the operator, no module."""
    graphs = ONNXAdapter().convert(str(path), {})["graphs"]
    layers = set()
    for node in graphs[0].nodes:
        modules = node.namespace.split("/")[1:-1]
        layers |= {tuple(modules[:n]) for n in range(1, len(modules) + 1)}
    return layers


def main(command: str, folder: str) -> None:
    output = pathlib.Path(folder) / "model_explorer"
    output.mkdir(exist_ok=True)
    for name in MODELS:
        checkpoint = checkpoints.traced(name, pathlib.Path(folder) / "checkpoints")
        path = output / f"{checkpoint.stem}.onnx"
        checks.run(command, "export", checkpoint, "-o", path, "--quiet")
        classes = {n: class_of(m) for n, m in torch.jit.load(str(checkpoint)).named_modules()}
        layers = layers_of(path)
        shown = set()
        for layer in layers:
            names = [scope.split(": ")[0] for scope in layer]
            assert all(inner.startswith(outer) for outer, inner in zip(names, names[1:])), layer
            for scope in layer:
                module, of_class = scope.split(": ")
                assert classes.get(module) == of_class, f"{scope}: the module is of class {classes.get(module)}"
                shown.add(module)
        modules = json.loads(path.with_suffix(".hierarchy.json").read_text())["modules"]
        with_nodes = {module["path"] for module in modules if module["in_onnx"]}
        assert shown == with_nodes, f"not drawn: {with_nodes - shown}; drawn besides: {shown - with_nodes}"
        assert len(layers) == len(shown), f"drawn twice: {layers}"


if __name__ == "__main__":
    main(*sys.argv[1:])
