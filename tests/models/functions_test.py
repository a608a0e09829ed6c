"""export --functions: the same nodes, tags and numbers as without, in local functions that modules share.

    functions_test.py MODELEXPORT FOLDER NAME|FILE.pt
"""

import ast
import json
import pathlib
import shutil
import sys

import onnx
import onnx.inliner

import checkpoints
import checks


def calls(nodes, functions):
    for node in nodes:
        if (node.domain, node.op_type) in functions:
            yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from calls(attribute.g.node, functions)


def expanded_scopes(model) -> list[tuple]:
    """Paths and classes above each node, with functions expanded: those of the call, then those within."""
    functions = {(f.domain, f.name): f for f in model.functions}

    def lists(node):
        tags = checks.metadata(node)
        return [ast.literal_eval(tags[f"pkg.torch.onnx.{key}"]) for key in ("name_scopes", "class_hierarchy")]

    def walk(nodes, names, classes):
        for node in nodes:
            own_names, own_classes = lists(node)
            if names:
                assert own_names[0] == "" and own_classes[0] == classes[-1], (node.name, own_classes, classes)
                above = [names[-1] + "." if names[-1] else "", len(own_names) - 1]
                is_call = (node.domain, node.op_type) in functions
                own_names = names + [
                    above[0] + name if is_call or i + 1 < above[1] else name for i, name in enumerate(own_names[1:])
                ]
                own_classes = classes + own_classes[1:]
            function = functions.get((node.domain, node.op_type))
            if function:
                yield from walk(function.node, own_names, own_classes)
            else:
                yield node.op_type, tuple(own_names[:-1]), tuple(own_classes[:-1])
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    yield from walk(attribute.g.node, names, classes)

    return list(walk(model.graph.node, [], []))


def main(command: str, folder: str, name: str) -> None:
    path = checkpoints.made_or_traced(name, pathlib.Path(folder) / "checkpoints")
    output = pathlib.Path(folder) / "functions" / path.stem
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    inputs = checkpoints.input_options(path)
    flat, nested = output / "flat.onnx", output / "nested.onnx"
    checks.run(command, "export", path, "-o", flat, *inputs)
    checks.run(command, "export", path, "-o", nested, *inputs, "--functions", "--verify")
    checks.check_onnx(nested)

    model = onnx.load(str(nested), load_external_data=False)
    functions = {(f.domain, f.name): f for f in model.functions}
    assert functions, "no functions"
    bodies = [f.SerializeToString() for f in model.functions]
    assert len(set(bodies)) == len(bodies)
    used = {(node.domain, node.op_type) for graph in [model.graph, *model.functions] for node in calls(graph.node, functions)}
    assert used == set(functions), "functions that nothing calls"

    module, examples = checkpoints.load(path)
    live = {path: submodule.original_name for path, submodule in module.named_modules(remove_duplicate=False)}
    called = 0
    for node in calls(model.graph.node, functions):
        tags = checks.metadata(node)
        path_of_call = ast.literal_eval(tags["pkg.torch.onnx.name_scopes"])[-1]
        assert live[path_of_call] == node.op_type.rsplit("_", 1)[0] or live[path_of_call] == node.op_type, node.name
        called += 1
    scopes = expanded_scopes(model)
    before = checks.module_scopes(onnx.load(str(flat), load_external_data=False))
    after = {(names, classes) for _, names, classes in scopes}
    assert {scope for scope in before if scope[0][-1]} - {s for a in after for s in [(a[0][:n], a[1][:n]) for n in range(1, len(a[0]) + 1)]} == set()
    checks.check_weights(nested, module, all_parameters=path.stem not in {"frozen", "buffers"})

    session = checks.Session(nested)
    for sizes in [*examples, *checks.other_sizes(*examples)]:
        checks.check_numbers(session, module, sizes)
    report = json.loads(checks.run(command, "validate", "--input", nested, "--model", path, *inputs, "--json").stdout)
    assert report["success_rate"] == 1.0 and not report["findings"], report["findings"]
    sidecar = json.loads((output / "nested.hierarchy.json").read_text())
    assert sum(e["op_type"] != "Initializer" for e in sidecar["operation_metadata"].values()) == len(scopes)
    print(f"{len(functions)} functions, {called} calls in the graph, {len(scopes)} nodes expanded")
    shutil.rmtree(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
