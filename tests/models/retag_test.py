"""retag: tags come back after ONNX Runtime's optimiser has been over the file.

    retag_test.py MODELEXPORT FOLDER NAME
"""

import ast
import json
import pathlib
import shutil
import sys

import onnx
import onnxruntime

import checkpoints
import checks

LEVELS = onnxruntime.GraphOptimizationLevel


def optimise(source: pathlib.Path, target: pathlib.Path, level) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def scopes(node) -> list[str]:
    return ast.literal_eval(checks.metadata(node)["pkg.torch.onnx.name_scopes"])


def main(command: str, folder: str, name: str) -> None:
    path = checkpoints.traced(name, pathlib.Path(folder) / "checkpoints")
    output = pathlib.Path(folder) / "retag" / path.stem
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    source = output / "net.onnx"
    inputs = checkpoints.input_options(path)
    checks.run(command, "export", path, "-o", source, *inputs)
    module, examples = checkpoints.load(path)
    original = {o: node for node in onnx.load(str(source), load_external_data=False).graph.node for o in node.output}

    for level in (LEVELS.ORT_ENABLE_BASIC, LEVELS.ORT_ENABLE_EXTENDED):
        for known in (source, output / "net.hierarchy.json"):
            optimised, tagged = output / "optimised.onnx", output / "tagged.onnx"
            optimise(source, optimised, level)
            report = json.loads(
                checks.run(command, "retag", optimised, "--from", known, "-o", tagged, "--json").stdout
            )
            assert report["share"] == 1.0 and report["untagged"] == [], report
            model = onnx.load(str(tagged), load_external_data=False)
            for node in checks.all_nodes(model.graph):
                before = next((original[o] for o in node.output if o in original), None)
                if before is None:
                    continue
                own, was = scopes(node)[:-1], scopes(before)[:-1]
                assert own == was[: len(own)], f"{node.name}: {own} is not an ancestor of {was}"
                if node.op_type == before.op_type and list(node.input) == list(before.input) and known == source:
                    assert checks.metadata(node) == checks.metadata(before), node.name
            fused = [node for node in model.graph.node if node.domain == "com.microsoft"]
            assert level == LEVELS.ORT_ENABLE_BASIC or fused or name == "convnet", "nothing was fused"
            for node in fused:
                assert scopes(node)[0] == "", node.name
            checks.check_numbers(checks.Session(tagged), module, examples[0])
            print(f"{level}, from {known.name}: {report}")
    # In place, from a folder below: the data is still found.
    below = output / "below"
    below.mkdir()
    for file in output.glob("net.onnx*"):
        shutil.copy(file, below)
    optimise(below / "net.onnx", below / "optimised.onnx", LEVELS.ORT_ENABLE_BASIC)
    checks.run(command, "retag", below / "optimised.onnx", "--from", source, "-o", output / "from_below.onnx")
    checks.check_numbers(checks.Session(output / "from_below.onnx"), module, examples[0])
    checks.run(command, "retag", optimised, "--from", source, "-o", below / "x.onnx", status=1)
    assert not (below / "x.onnx").exists()
    shutil.rmtree(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
