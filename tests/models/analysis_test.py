"""extract, analyze, compare and validate on models that share parameters.

    analysis_test.py MODELEXPORT FOLDER CHECK_SCHEMA
"""

import collections
import json
import pathlib
import shutil
import sys

import onnx
import torch

import checks
import shared_models

# For each model: parameters that are shared, as (pattern, number of uses): how many there are of them.
SHARED = {
    "gpt2": {("tied_embeddings", 2): 1},
    # All parameters of the one layer, and of the embedding nothing.
    "albert": {("layer_sharing", 4): 16},
    # Its head's bias has two names.
    "bert": {("tied_embeddings", 2): 1, ("layer_sharing", 1): 1},
    # The embedding of encoder and decoder is the output layer too; the position biases of their first
    # blocks go to the second ones.
    "t5": {("tied_embeddings", 3): 1, ("position_sharing", 2): 2},
    "TiedHead": {("tied_embeddings", 2): 1},
    "SharedLayers": {("layer_sharing", 3): 6},
    "SharedEmbedding": {("tied_embeddings", 2): 1},
}


def sharing(document: dict) -> dict:
    return collections.Counter(
        (shared["sharing_pattern"], shared["share_count"]) for shared in document["shared_parameters"].values()
    )


def check_model(command: str, check_schema: str, path: pathlib.Path, folder: pathlib.Path) -> None:
    name = path.stem
    scripted = name not in ("gpt2", "albert", "bert", "t5")
    inputs = ["--inputs", path.parent / "ids.pt"] if scripted else []
    checks.run(command, "extract", "--model", path, "--output", folder, "--quiet", "--verify", *inputs)
    files = {file.name for file in folder.iterdir()}
    assert {"model.onnx", "hierarchy.json", "report.html", "metrics.json"} <= files, files
    checks.run(command, "validate", "--input", folder, "--model", path, *inputs)
    checks.check_onnx(folder / "model.onnx")

    # The checkpoint, the file made from it and hierarchy.json tell the same of what is shared.
    documents = [json.loads((folder / "hierarchy.json").read_text())]
    for number, model in enumerate((path, folder / "model.onnx", folder)):
        result = checks.run(command, "analyze", model, "--json", *inputs)
        documents.append(json.loads(result.stdout))
        (folder / f"analyze{number}.json").write_text(result.stdout)
    for document in documents:
        assert sharing(document) == SHARED[name], f"{name}: {json.dumps(document['shared_parameters'], indent=1)}"
    for document in documents[1:]:
        for parameter, shared in documents[0]["shared_parameters"].items():
            assert document["shared_parameters"][parameter] == shared, (name, parameter, document["shared_parameters"])
        for key in ("total_shared_params", "sharing_percentage", "bytes_saved"):
            assert document["sharing_analysis"][key] == documents[0]["sharing_analysis"][key], (name, key)

    # Nothing differs between the checkpoint and what was made from it.
    for pair in ((path, folder), (folder / "model.onnx", path), (path, path)):
        result = checks.run(command, "compare", *pair, "--json", *inputs)
        assert json.loads(result.stdout)["same"], result.stdout
    (folder / "compare.json").write_text(result.stdout)
    checks.run(check_schema, "hierarchy.schema.json", folder / "hierarchy.json")
    checks.run(check_schema, "analyze.schema.json", *folder.glob("analyze*.json"))
    checks.run(check_schema, "compare.schema.json", folder / "compare.json")


def check_differences(command: str, check_schema: str, folder: pathlib.Path) -> None:
    """A changed weight, operator and attribute are named."""
    model = onnx.load(str(folder / "model.onnx"))
    weight = next(t for t in model.graph.initializer if t.name.endswith("query.weight"))
    changed = bytearray(weight.raw_data)
    changed[3] ^= 0x40
    weight.raw_data = bytes(changed)
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    softmax.attribute[0].i = 0
    next(node for node in model.graph.node if node.op_type == "Gelu").op_type = "Sin"
    onnx.save(model, str(folder / "changed.onnx"))
    result = checks.run(command, "compare", folder, folder / "changed.onnx", "--json", status=4)
    found = json.loads(result.stdout)
    (folder / "changed.json").write_text(result.stdout)
    checks.run(check_schema, "compare.schema.json", folder / "changed.json")
    assert [(p["name1"], p["change"], p["different"]) for p in found["parameters"]] == [(weight.name, "changed", 1)]
    operators = {(o["op"], o["change"]) for o in found["operators"]}
    assert operators == {("Softmax", "changed"), ("Sin", "added"), ("Gelu", "removed")}, operators
    assert found["differences"] == 4 and not found["modules"], found
    text = checks.run(command, "compare", folder, folder / "changed.onnx", "--format", "markdown", status=4).stdout
    assert f"| changed | `{weight.name}` |" in text, text


def check_config(command: str, path: pathlib.Path, folder: pathlib.Path) -> None:
    """The sections of a configuration file apply, and so does compression."""
    config = folder.parent / "extraction.yaml"
    config.write_text(
        "extraction: {max_depth: 4, include_torch_nn: true}\nvalidation: {min_coverage: 1.0}\n"
        "output: {include_metadata: false, compress: true}\n"
    )
    checks.run(command, "extract", "--model", path, "--output", folder, "--config", config, "--quiet")
    import gzip

    document = json.loads(gzip.decompress((folder / "hierarchy.json.gz").read_bytes()))
    assert "operation_metadata" not in document
    assert max(tag.count("/") for tag in document["module_dags"]) == 4, list(document["module_dags"])
    assert any("LayerNorm" in tag for tag in document["module_dags"]), list(document["module_dags"])


def check_drawings(command: str, path: pathlib.Path) -> None:
    dot = checks.run(command, "analyze", path, "--dag", "bert.encoder.layer.0", "--format", "dot").stdout
    assert dot.startswith("digraph") and "attention: BertAttention" in dot, dot
    mermaid = checks.run(command, "analyze", path, "--dag", ".", "--dag-depth", "0", "--format", "mermaid").stdout
    assert mermaid.startswith("flowchart TD") and "layer.1: BertLayer" in mermaid, mermaid
    error = checks.run(command, "analyze", path, "--dag", "bert.nowhere", status=1).stderr
    assert "has no module 'bert.nowhere'; analyze without --dag lists them" in error, error


def check_no_weights_are_read(command: str, folder: pathlib.Path) -> None:
    """A checkpoint is analyzed, and its module run, without its weights coming into memory."""
    path = folder / "large.pt"
    layers = torch.nn.Sequential(torch.nn.Linear(6144, 6144), torch.nn.ReLU(), torch.nn.Linear(6144, 6144))
    with torch.no_grad():
        torch.jit.trace(layers.eval(), torch.ones(1, 6144)).save(str(path))
    size = path.stat().st_size / 1e6
    measure = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);" \
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6)"  # fmt: skip
    peaks = [float(checks.run(sys.executable, "-c", measure, command, "analyze", model).stdout)
             for model in (path, folder.parent / "checkpoints" / "TiedHead.pt")]  # fmt: skip
    assert peaks[0] - peaks[1] < 0.25 * size, f"{peaks[0]:.0f} MB for {size:.0f} MB of weights"
    path.unlink()


def main(command: str, folder: str, check_schema: str) -> None:
    root = pathlib.Path(folder) / "analysis"
    shutil.rmtree(root, ignore_errors=True)
    paths = shared_models.make(root / "checkpoints")
    for name, path in paths.items():
        check_model(command, check_schema, path, root / name)
    check_differences(command, check_schema, root / "bert")
    check_config(command, paths["bert"], root / "configured")
    check_drawings(command, paths["bert"])
    check_no_weights_are_read(command, root / "bert")


if __name__ == "__main__":
    main(*sys.argv[1:])
