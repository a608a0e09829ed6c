"""GPT-2's embedding is also its output layer, and must be in the file once.

    tied_test.py MODELEXPORT FOLDER
"""

import pathlib
import shutil
import sys

import checkpoints
import checks


def main(command: str, folder: str) -> None:
    path = checkpoints.traced("gpt2", pathlib.Path(folder) / "checkpoints")
    output = pathlib.Path(folder) / "tied"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    onnx_file = output / "gpt2.onnx"
    checks.run(command, "export", path, "-o", onnx_file, *checkpoints.input_options(path))

    module, _ = checkpoints.load(path)
    initializers = checks.check_weights(onnx_file, module)
    embedding = checks.tensor_bytes(module.state_dict()["transformer.wte.weight"])
    copies = [name for name, tensor in initializers.items() if tensor.raw_data == embedding]
    assert len(copies) == 1, f"the tied embedding is stored as {copies}"
    unique = {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in module.parameters()}
    written = onnx_file.stat().st_size + (output / "gpt2.onnx.data").stat().st_size
    assert written < sum(unique.values()) * 1.01, f"{written} bytes for {sum(unique.values())} bytes of weights"
    shutil.rmtree(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
