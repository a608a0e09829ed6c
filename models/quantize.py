#!/usr/bin/env python3
"""Makes small TorchScript checkpoints of modules quantised with torch.ao.quantization.

    models/quantize.py --list                      their names
    models/quantize.py convnet -o convnet.pt       one of them, with example inputs of two sizes beside it
    models/quantize.py --all FOLDER                all of them

Output is deterministic. FILE.inputs.pt and FILE.inputs2.pt are for `modelexport export --inputs`.
"""

import argparse
import pathlib
import sys
import warnings

import torch
import torch.ao.quantization as quantization
from torch import nn
from torch.ao.nn.quantized import FloatFunctional
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

CALIBRATION_RUNS = 8


class Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(16, 32)
        self.act = nn.ReLU()
        self.second = nn.Linear(32, 8, bias=False)

    def forward(self, x):
        return self.second(self.act(self.first(x)))


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.rnn = kind(8, 12, **options)
        self.head = nn.Linear(12 * (1 + self.rnn.bidirectional), 4)

    def forward(self, x):
        output, _ = self.rnn(x)
        return self.head(output)


class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTMCell(6, 8)
        self.gru = nn.GRUCell(8, 8)
        self.rnn = nn.RNNCell(8, 8)

    def forward(self, x):
        hidden, state = self.lstm(x)
        return self.rnn(self.gru(hidden)), state


class Tables(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50, 16)
        self.bags = nn.EmbeddingBag(40, 12, mode="sum")

    def forward(self, words, members):
        return self.words(words), self.bags(members)


class ConvNet(nn.Module):
    """A residual block between a stem and a head."""

    def __init__(self):
        super().__init__()
        self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.block = nn.Sequential(
            nn.Conv2d(16, 16, 3, 1, 1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 16, 3, 1, 1, groups=4, bias=False), nn.BatchNorm2d(16),
        )  # fmt: skip
        self.add = FloatFunctional()
        self.pool = nn.MaxPool2d(2)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        x = self.stem(self.quant(x))
        x = self.add.add_relu(x, self.block(x))
        x = torch.flatten(self.average(self.pool(x)), 1)
        return self.dequant(self.head(x))


class Signal(nn.Module):
    """Of what torch.ao can quantise, much of the rest."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 8, 3, padding=1)
        self.norms = nn.Sequential(nn.LayerNorm(10), nn.GroupNorm(2, 8), nn.InstanceNorm1d(8))
        self.acts = nn.Sequential(nn.Hardswish(), nn.ELU(), nn.LeakyReLU())
        self.up = nn.ConvTranspose1d(8, 4, 3, stride=2)

    def forward(self, x):
        x = self.acts(self.norms(self.conv(x)))
        x = x * torch.cat([x, x * 2], 1)[:, :8] + 1.5
        x = self.up(x)
        scores = torch.matmul(torch.tanh(x), torch.sigmoid(x).transpose(1, 2))
        return torch.clamp(torch.softmax(scores, -1), 0, 0.5)


def randomized(module: nn.Module) -> nn.Module:
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    return module.eval()


def dynamic(module, kinds, dtype=torch.qint8):
    return quantization.quantize_dynamic(module.eval(), kinds, dtype=dtype)


def static(module, inputs, backend):
    """Eager mode: fused, observed on random inputs, converted."""
    groups = [["stem.0", "stem.1", "stem.2"], ["block.0", "block.1", "block.2"], ["block.3", "block.4"]]
    module = quantization.fuse_modules(randomized(module), groups)
    module.qconfig = quantization.get_default_qconfig(backend)
    observed = quantization.prepare(module)
    for _ in range(CALIBRATION_RUNS):
        observed(*map(torch.randn_like, inputs))
    return quantization.convert(observed)


def static_fx(module, inputs):
    mapping = quantization.get_default_qconfig_mapping("fbgemm")
    observed = prepare_fx(randomized(module), mapping, inputs)
    for _ in range(CALIBRATION_RUNS):
        observed(*map(torch.randn_like, inputs))
    return convert_fx(observed)


def tables():
    module = Tables().eval()
    for table in module.children():
        table.qconfig = quantization.float_qparams_weight_only_qconfig
    return quantization.convert(quantization.prepare(module))


def trained():
    """Quantisation-aware training, not converted: fake quantisation of weights and activations."""
    module = Perceptron().train()
    module.qconfig = quantization.get_default_qat_qconfig("fbgemm")
    module = quantization.prepare_qat(module)
    for _ in range(CALIBRATION_RUNS):
        module(torch.randn(4, 16))
    return module.eval().apply(quantization.disable_observer)


def bert():
    from transformers import BertConfig, BertModel

    config = BertConfig(vocab_size=1000, hidden_size=128, num_hidden_layers=2, num_attention_heads=2,
                        intermediate_size=512, attn_implementation="eager", return_dict=False)  # fmt: skip
    return dynamic(BertModel(config), {nn.Linear})


def rows(batch):
    return (torch.randn(batch, 16),)


def steps(batch, length):
    return (torch.randn(batch, length, 8),)


def images(batch, size):
    return (torch.randn(batch, 3, size, size),)


def signals(batch):
    return (torch.randn(batch, 4, 10),)


def indices(batch, length):
    return torch.randint(0, 50, (batch, length)), torch.randint(0, 40, (batch, length + 1))


def texts(batch, length):
    return torch.randint(0, 1000, (batch, length)), torch.ones(batch, length, dtype=torch.long)


both = dict(num_layers=2, bidirectional=True, batch_first=True)

# name: the module, its inputs at two sizes, whether it is scripted
CHECKPOINTS = {
    "perceptron_dynamic": (lambda: dynamic(Perceptron(), {nn.Linear}), (rows(2), rows(3)), True),
    "perceptron_channels": (
        lambda: dynamic(Perceptron(), {nn.Linear: quantization.per_channel_dynamic_qconfig}),
        (rows(2), rows(3)), False),
    "perceptron_float16": (
        lambda: dynamic(Perceptron(), {nn.Linear}, torch.float16), (rows(2), rows(3)), False),
    "perceptron_trained": (trained, (rows(2), rows(3)), False),
    "lstm_dynamic": (
        lambda: dynamic(Recurrent(nn.LSTM, **both), {nn.LSTM, nn.Linear}), (steps(2, 5), steps(3, 7)), True),
    "gru_dynamic": (
        lambda: dynamic(Recurrent(nn.GRU), {nn.GRU, nn.Linear}), (steps(2, 5), steps(3, 7)), True),
    "lstm_float16": (
        lambda: dynamic(Recurrent(nn.LSTM), {nn.LSTM}, torch.float16), (steps(2, 5), steps(3, 7)), True),
    "cells_dynamic": (
        lambda: dynamic(Cells(), {nn.LSTMCell, nn.GRUCell, nn.RNNCell}),
        ((torch.randn(2, 6),), (torch.randn(3, 6),)), True),
    "tables": (tables, (indices(2, 5), indices(3, 7)), True),
    "convnet_fbgemm": (
        lambda: static(ConvNet(), images(2, 32), "fbgemm"), (images(2, 32), images(3, 40)), False),
    "convnet_qnnpack": (
        lambda: static(ConvNet(), images(2, 32), "qnnpack"), (images(2, 32), images(3, 40)), True),
    "signal_fx": (lambda: static_fx(Signal(), signals(2)), (signals(2), signals(3)), True),
    "bert_dynamic": (bert, (texts(2, 12), texts(3, 7)), False),
}  # fmt: skip


def write(name: str, path: pathlib.Path) -> None:
    torch.manual_seed(0)
    make, sizes, script = CHECKPOINTS[name]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        module = make().eval()
        saved = torch.jit.script(module) if script else torch.jit.trace(module, sizes[0], check_trace=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    saved.save(str(path))
    for suffix, inputs in zip((".inputs.pt", ".inputs2.pt"), sizes):
        torch.save(inputs, path.with_suffix(suffix))
    print(f"{path}: {'scripted' if script else 'traced'}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", choices=CHECKPOINTS, metavar="NAME")
    parser.add_argument("-o", "--output", type=pathlib.Path, help="the checkpoint to write: FILE.pt")
    parser.add_argument("--all", type=pathlib.Path, metavar="FOLDER", help="write all of them there")
    parser.add_argument("--list", action="store_true", help="print the names and exit")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.list:
        print("\n".join(CHECKPOINTS))
    elif arguments.all:
        for name in CHECKPOINTS:
            write(name, arguments.all / f"{name}.pt")
    elif arguments.name and arguments.output:
        write(arguments.name, arguments.output)
    else:
        parser.error("NAME and -o FILE.pt are needed, or --all FOLDER; --list shows the names")
    return 0


if __name__ == "__main__":
    sys.exit(main())
