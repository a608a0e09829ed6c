"""export --module: one submodule alone, with the inputs that it really gets and the tags that it has in the whole.

    submodule_test.py MODELEXPORT FOLDER NAME PATH...
"""

import json
import pathlib
import shutil
import sys

import numpy as np
import onnx

import checkpoints
import checks


def main(command: str, folder: str, name: str, *paths: str) -> None:
    path = checkpoints.traced(name, pathlib.Path(folder) / "checkpoints")
    output = pathlib.Path(folder) / "submodule" / path.stem
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    inputs = checkpoints.input_options(path)
    checks.run(command, "export", path, "-o", output / "whole.onnx", *inputs)
    whole = onnx.load(str(output / "whole.onnx"), load_external_data=False)
    tags_in_whole = {node.name: checks.metadata(node) for node in whole.graph.node}
    module, _ = checkpoints.load(path)

    for part in paths:
        file = output / "part.onnx"
        checks.run(command, "export", path, "-o", file, *inputs, "--module", part, "--verify")
        checks.check_onnx(file)
        model = onnx.load(str(file), load_external_data=False)
        state = dict(module.named_modules())[part].state_dict()
        stored = {tensor.name: tensor for tensor in onnx.load(str(file)).graph.initializer}
        weights = set(stored) & set(state)
        assert weights or not state, f"{part}: no weights by the names of {list(state)}"
        for weight in weights:
            assert stored[weight].raw_data == checks.tensor_bytes(state[weight]), weight
        same = [node for node in model.graph.node if tags_in_whole.get(node.name) == checks.metadata(node)]
        assert len(same) > 0.8 * len(model.graph.node), f"{part}: {len(same)} of {len(model.graph.node)} as in the whole"
        for node in model.graph.node:
            scopes = checks.metadata(node)["pkg.torch.onnx.name_scopes"]
            assert f"'{part}'" in scopes, (node.name, scopes)
        dynamic = [d.dim_param for value in model.graph.input for d in value.type.tensor_type.shape.dim if d.dim_param]
        assert dynamic or not model.graph.input, f"{part}: no dynamic dimension"
        checks.run(command, "verify", file, "--model", path, *inputs)
        checks.run(command, "validate", "--input", file, "--model", path, *inputs)
        report = json.loads(
            checks.run(command, "verify", file, "--model", path, *inputs, "--per-module", "--json").stdout
        )
        assert report["first_difference"] is None and report["modules"][0]["module"] == part
        print(f"{part}: {len(model.graph.node)} nodes, {[i.name for i in model.graph.input]}, {sorted(weights)[:3]}")

    wrong = paths[0] + "x"
    message = checks.run(command, "export", path, *inputs, "--module", wrong, status=1).stderr
    assert message.startswith(f"modelexport: error: --module {wrong}: there is no such module; near: {paths[0]}"), message
    shutil.rmtree(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
