"""Module scopes are those that the dynamo exporter gives for the same model.

Its optimiser removes some (of batch norms and convolutions that it folds into each other, for example); those may
remain in ours, as they do in dynamo's file before optimisation. All that its optimised file has must be in ours.

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


def dynamo_scopes(name: str) -> tuple[set, set]:
    """Before and after optimisation."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    model, make_inputs = architectures.make(name, None)
    program = torch.onnx.export(model.eval(), (), kwargs=make_inputs(2, 12), dynamo=True, optimize=False, verbose=False)
    before = checks.module_scopes(program.model_proto)
    program.optimize()
    return before, checks.module_scopes(program.model_proto)


def main(command: str, folder: str, name: str) -> None:
    if not importlib.util.find_spec("onnxscript"):
        sys.exit(77)
    path = checkpoints.traced(name, pathlib.Path(folder) / "checkpoints")
    output = pathlib.Path(folder) / "scopes" / path.stem
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    checks.run(command, "export", path, "-o", output / "model.onnx")
    ours = checks.module_scopes(onnx.load(str(output / "model.onnx"), load_external_data=False))
    before, optimised = dynamo_scopes(name)
    wrong = {"only ours": ours - before, "only dynamo's": optimised - ours}
    assert not any(wrong.values()), "".join(
        f"\n  {who}: {scope[0][-1]!r} in {scope[1]}" for who, scopes in wrong.items() for scope in sorted(scopes)
    )
    print(f"{len(before)} scopes before dynamo's optimisation, {len(optimised)} after, {len(ours)} ours")
    shutil.rmtree(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
