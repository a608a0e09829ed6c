"""Module scopes are those that the dynamo exporter gives for the same model.

    scopes_test.py MODELEXPORT FOLDER NAME

Exit code 77 (skipped) where the dynamo exporter's onnxscript is not installed.
"""

import importlib.util
import logging
import pathlib
import shutil
import sys
import warnings

import onnx
import torch

import checkpoints
import checks

sys.path.insert(0, str(checkpoints.MODELS))
import architectures  # noqa: E402


def dynamo_scopes(name: str) -> set:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    model, make_inputs = architectures.make(name, None)
    program = torch.onnx.export(model.eval(), (), kwargs=make_inputs(2, 12), dynamo=True, verbose=False)
    return checks.module_scopes(program.model_proto)


def main(command: str, folder: str, name: str) -> None:
    if not importlib.util.find_spec("onnxscript"):
        sys.exit(77)
    path = checkpoints.traced(name, pathlib.Path(folder) / "checkpoints")
    output = pathlib.Path(folder) / "scopes" / path.stem
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    checks.run(command, "export", path, "-o", output / "model.onnx")
    ours = checks.module_scopes(onnx.load(str(output / "model.onnx"), load_external_data=False))
    theirs = dynamo_scopes(name)
    assert ours == theirs, "".join(
        f"\n  only {who}: {scope[0][-1]!r} in {scope[1]}"
        for who, difference in (("ours", ours - theirs), ("dynamo's", theirs - ours))
        for scope in sorted(difference)
    )
    shutil.rmtree(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
