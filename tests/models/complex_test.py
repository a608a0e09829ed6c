"""Complex parameters, inputs and outputs: pairs of reals in the file, with the checkpoint's bytes.

    complex_test.py MODELEXPORT FOLDER
"""

import json
import pathlib
import shutil
import sys

import numpy as np
import onnx
import onnxruntime
import torch

import checks

NOTE = (
    "the {} '{}' is complex64; in the ONNX file it is float32 with real and imaginary part as its last dimension, "
    "as torch.view_as_real has it"
)


class Filter(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(5, 4, dtype=torch.complex64))
        self.register_buffer("shift", torch.randn(4, dtype=torch.complex64))

    def forward(self, z: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        spectrum = torch.fft.rfft(x, dim=-1) @ self.weight + self.shift
        return spectrum * z.conj(), torch.fft.irfft(spectrum, n=6)


def as_pairs(tensor: torch.Tensor) -> np.ndarray:
    return (torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor).detach().numpy()


def check_mode(command: str, folder: pathlib.Path, module: torch.nn.Module, mode: str) -> None:
    path, output = folder / "filter.pt", folder / f"{mode}.onnx"
    inputs = [part for size in (2, 3) for part in ("--inputs", folder / f"{size}.pt")]
    result = checks.run(command, "export", path, "-o", output, *inputs, "--weights", mode, "--verify")
    for note in (NOTE.format("input", "z"), NOTE.format("output", "output.0")):
        assert note in result.stderr, result.stderr

    checks.check_onnx(output)
    initializers = {t.name: t for t in onnx.load(str(output)).graph.initializer}
    for name, tensor in module.state_dict().items():
        written = onnx.numpy_helper.to_array(initializers[name], base_dir=str(folder))
        assert written.dtype == np.float32 and list(written.shape) == [*tensor.shape, 2], name
        assert written.tobytes() == tensor.numpy().tobytes(), name
    parameters = json.loads(output.with_suffix(".hierarchy.json").read_text())["validation_results"]["parameters"]
    assert parameters["weight"]["pytorch_shape"] == [5, 4] and parameters["weight"]["onnx_shape"] == [5, 4, 2]
    assert parameters["weight"]["complex"] and parameters["weight"]["value_match"]

    session = onnxruntime.InferenceSession(str(output), providers=["CPUExecutionProvider"])
    z, x = torch.randn(7, 4, dtype=torch.complex64), torch.randn(7, 8)
    found = session.run(None, {"z": as_pairs(z), "x": x.numpy()})
    for expected, value in zip(module(z, x), found, strict=True):
        np.testing.assert_allclose(value, as_pairs(expected), rtol=1e-4, atol=1e-5)


def main(command: str, folder: str) -> None:
    root = pathlib.Path(folder) / "complex"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    torch.manual_seed(0)
    module = Filter().eval()
    torch.jit.script(module).save(str(root / "filter.pt"))
    for size in (2, 3):
        torch.save((torch.randn(size, 4, dtype=torch.complex64), torch.randn(size, 8)), root / f"{size}.pt")
    for mode in ("external", "embed", "in-place"):
        check_mode(command, root, module, mode)
    shutil.rmtree(root)


if __name__ == "__main__":
    main(*sys.argv[1:])
