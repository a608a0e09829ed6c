"""Quantised checkpoints of every kind: exported, compared with the live module, checked with onnx and ONNX Runtime.

    quantized_test.py MODELEXPORT FOLDER
"""

import json
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


# Not verified as ONNX Runtime optimises them, but as they are written.
NOT_OPTIMISED = {
    "signal_fx": "ONNX Runtime rounds the bias of a convolution to int32 (WeightBiasQuantization), FBGEMM adds it as "
    "a float: one step in the convolution, up to four behind the product and the softmax that follow",
}


def tensors_of(value) -> list[torch.Tensor]:
    return [value] if isinstance(value, torch.Tensor) else [t for v in value for t in tensors_of(v)]


def known_scales(model: onnx.ModelProto) -> dict[str, float]:
    """Of the outputs that are dequantised by a constant scale."""
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    outputs = {output.name for output in model.graph.output}
    return {
        node.output[0]: constants[node.input[1]].item()
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.output[0] in outputs and node.input[1] in constants
    }


def check_numbers(name: str, session, scales: dict[str, float], module, inputs) -> None:
    feeds = {port.name: tensor.numpy() for port, tensor in zip(session.get_inputs(), inputs)}
    with torch.no_grad():
        expected = tensors_of(module(*inputs))
    for port, found, wanted in zip(session.get_outputs(), session.run(None, feeds), expected, strict=True):
        step = (wanted.clamp(min=0).max() - wanted.clamp(max=0).min()).item() / 127
        step = scales.get(port.name, step) * 1.001  # and what rounding adds
        numpy.testing.assert_allclose(found, wanted.numpy(), rtol=1e-3, atol=step, err_msg=name)


def session_of(path: pathlib.Path, optimised: bool):
    options = onnxruntime.SessionOptions()
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def check_what_is_said(command: str, folder: pathlib.Path) -> None:
    """verify says which outputs it allowed a step, of what size and why; for others it does not."""
    said = {}
    for name in ("convnet_fbgemm", "perceptron_dynamic", "perceptron_float16"):
        path = folder / f"{name}.pt"
        inputs = [part for n in ("", "2") for part in ("--inputs", path.with_suffix(f".inputs{n}.pt"))]
        result = checks.run(command, "verify", path.with_suffix(".onnx"), "--model", path, *inputs, "--json")
        runs = json.loads(result.stdout)["numbers"]
        said[name] = {output["allowed"] for run in runs for output in run["outputs"] if "allowed" in output}
    assert not said["perceptron_float16"], said
    for name, why in {"convnet_fbgemm": "(its scale)", "perceptron_dynamic": "1/127 of its range"}.items():
        assert all(why in text and "one quantisation step" in text for text in said[name]), said


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
        optimised = name not in NOT_OPTIMISED
        checks.run(command, "export", path, "-o", onnx_file, *options, *["--verify"] * optimised)
        checks.run(command, "validate", "--input", onnx_file, "--model", path, *options)
        if optimised:
            checks.run(command, "verify", onnx_file, "--model", path, *options, "--per-module")
        checks.check_onnx(onnx_file)
        model = onnx.load(str(onnx_file))
        found = {node.op_type for node in checks.all_nodes(model.graph)}
        assert has <= found and not lacks & found, f"{name}: {sorted(found)}"
        session, scales = session_of(onnx_file, optimised), known_scales(model)
        module = torch.jit.load(str(path)).eval()
        for file in inputs:
            check_numbers(name, session, scales, module, torch.load(file))
    check_what_is_said(command, folder)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
