"""Quantised checkpoints of every kind: exported, compared with the live module, checked with onnx and ONNX Runtime.

    quantized_test.py MODELEXPORT FOLDER
"""

import pathlib
import shutil
import sys

import numpy
import onnx
import onnxruntime
import torch

import checks

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "models"))
import quantize  # noqa: E402

# What each must have (and must not): that it is exported as integers, not as floats.
NODES = {
    "perceptron_dynamic": ({"QuantizeLinear", "MatMulInteger"}, {"DequantizeLinear", "Gemm", "MatMul"}),
    "perceptron_channels": ({"QuantizeLinear", "MatMulInteger"}, {"DequantizeLinear", "Gemm", "MatMul"}),
    "perceptron_float16": ({"Gemm"}, {"QuantizeLinear"}),
    "perceptron_trained": ({"QuantizeLinear", "DequantizeLinear"}, set()),
    "lstm_dynamic": ({"Scan", "MatMulInteger"}, {"LSTM", "MatMul"}),
    "gru_dynamic": ({"Scan", "MatMulInteger"}, {"GRU", "MatMul"}),
    "lstm_float16": ({"Scan", "MatMul"}, {"QuantizeLinear"}),
    "cells_dynamic": ({"MatMulInteger"}, {"MatMul", "Gemm"}),
    "tables": ({"Gather"}, {"DequantizeLinear"}),
    "convnet_fbgemm": ({"Conv", "MatMulInteger", "QuantizeLinear", "DequantizeLinear"}, {"Gemm"}),
    "convnet_qnnpack": ({"Conv", "MatMulInteger", "QuantizeLinear", "DequantizeLinear"}, {"Gemm"}),
    "signal_fx": ({"Conv", "ConvTranspose", "QuantizeLinear", "DequantizeLinear"}, set()),
    "bert_dynamic": ({"MatMulInteger"}, {"Gemm"}),
}


def tensors_of(value) -> list[torch.Tensor]:
    return [value] if isinstance(value, torch.Tensor) else [t for v in value for t in tensors_of(v)]


def check_numbers(name: str, session, module, inputs) -> None:
    feeds = {port.name: tensor.numpy() for port, tensor in zip(session.get_inputs(), inputs)}
    with torch.no_grad():
        expected = tensors_of(module(*inputs))
    for found, wanted in zip(session.run(None, feeds), expected, strict=True):
        step = (wanted.clamp(min=0).max() - wanted.clamp(max=0).min()).item() / 127
        numpy.testing.assert_allclose(found, wanted.numpy(), rtol=1e-3, atol=step, err_msg=name)


def main(command: str, folder: str) -> None:
    folder = pathlib.Path(folder) / "quantized"
    shutil.rmtree(folder, ignore_errors=True)
    torch.set_num_threads(1)
    torch.backends.quantized.engine = "fbgemm"
    assert NODES.keys() == quantize.CHECKPOINTS.keys()
    for name, (has, lacks) in NODES.items():
        path, onnx_file = folder / f"{name}.pt", folder / f"{name}.onnx"
        quantize.write(name, path)
        inputs = [path.with_suffix(suffix) for suffix in (".inputs.pt", ".inputs2.pt")]
        options = [part for file in inputs for part in ("--inputs", file)]
        checks.run(command, "export", path, "-o", onnx_file, *options, "--verify")
        checks.run(command, "validate", "--input", onnx_file, "--model", path, *options)
        checks.check_onnx(onnx_file)
        model = onnx.load(str(onnx_file))
        found = {node.op_type for node in checks.all_nodes(model.graph)}
        assert has <= found and not lacks & found, f"{name}: {sorted(found)}"
        session = onnxruntime.InferenceSession(str(onnx_file), providers=["CPUExecutionProvider"])
        module = torch.jit.load(str(path)).eval()
        for file in inputs:
            check_numbers(name, session, module, torch.load(file))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
