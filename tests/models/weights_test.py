"""How weights are stored: each mode holds the same model, and files are equal from run to run.

    weights_test.py MODELEXPORT FOLDER
"""

import pathlib
import shutil
import sys

import onnx

import checkpoints
import checks


def export(command: str, path: pathlib.Path, output: pathlib.Path, *options: str) -> pathlib.Path:
    output.mkdir(parents=True)
    onnx_file = output / "model.onnx"
    checks.run(command, "export", path, "-o", onnx_file, *checkpoints.input_options(path), *options)
    return onnx_file


def check_deterministic(command: str, path: pathlib.Path, folder: pathlib.Path) -> None:
    first = export(command, path, folder / "first")
    second = export(command, path, folder / "second")
    # The sidecar also says how long things took.
    names = sorted(f.name for f in first.parent.iterdir() if f.suffix != ".json")
    assert names == ["model.onnx", "model.onnx.data"], names
    for name in names:
        assert (first.parent / name).read_bytes() == (second.parent / name).read_bytes(), f"{name} differs"


def check_mode(command: str, path: pathlib.Path, folder: pathlib.Path, mode: str) -> None:
    output = folder / mode
    if mode == "in-place":  # the file points to the checkpoint beside it
        output.mkdir(parents=True)
        copy = output / path.name
        shutil.copy(path, copy)
        onnx_file = output / "model.onnx"
        checks.run(command, "export", copy, "-o", onnx_file, *checkpoints.input_options(path), "--weights", mode)
    else:
        onnx_file = export(command, path, output, "--weights", mode)

    module, examples = checkpoints.load(path)
    state = module.state_dict()
    weights = [t for t in onnx.load(str(onnx_file), load_external_data=False).graph.initializer if t.name in state]
    locations = {e.value for tensor in weights for e in tensor.external_data if e.key == "location"}
    assert locations == {"external": {"model.onnx.data"}, "embed": set(), "in-place": {path.name}}[mode], locations
    data = output / "model.onnx.data"  # with in-place, only constants that the checkpoint does not hold
    assert not data.exists() if mode == "embed" else mode == "external" or data.stat().st_size < 1 << 20

    checks.check_onnx(onnx_file)
    checks.check_weights(onnx_file, module)
    session = checks.Session(onnx_file)
    for inputs in examples:
        checks.check_numbers(session, module, inputs)


def main(command: str, folder: str) -> None:
    root = pathlib.Path(folder) / "weights"
    shutil.rmtree(root, ignore_errors=True)
    path = checkpoints.traced("google/bert_uncased_L-2_H-128_A-2", pathlib.Path(folder) / "checkpoints")
    check_deterministic(command, path, root)
    for mode in ("external", "embed", "in-place"):
        check_mode(command, path, root, mode)
    shutil.rmtree(root)


if __name__ == "__main__":
    main(*sys.argv[1:])
