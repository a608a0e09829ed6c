#!/usr/bin/env python3
"""Makes a very large TorchScript checkpoint: Llama's architecture in bfloat16, 8 billion parameters (16 GB).

    models/large.py [--layers 32] -o large.pt

Neither the memory nor the disk needs to hold it (on a file system that has holes). Weights are zeros that no memory stands for, except in the
first --filled layers, which have random ones; where the file has only zeros it has a hole, which `ls -s` does not
count and which reads as zeros, with the right checksum. torch.jit.load takes it like any other checkpoint.
NAME.inputs.pt and NAME.inputs2.pt are example inputs of two sizes.
"""

import argparse
import ctypes
import logging
import mmap
import os
import pathlib
import select
import time
import warnings

import torch
import transformers
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

BLOCK = 1 << 20
TRACED = (1, 8)


def unbacked_zeros(like: torch.Tensor) -> torch.Tensor:
    """Pages that are only read are all the same page of zeros."""
    if like.numel() == 0:
        return torch.empty(like.shape, dtype=like.dtype)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
    pages = mmap.mmap(-1, like.numel() * like.element_size(), flags=flags)
    return torch.frombuffer(pages, dtype=like.dtype).view(like.shape)


def make_model(layers: int, filled: int) -> torch.nn.Module:
    config = transformers.LlamaConfig(
        vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=layers,
        num_attention_heads=32, num_key_value_heads=8, rope_theta=500000.0, use_cache=False,
        attn_implementation="sdpa", dtype=torch.bfloat16,
    )  # fmt: skip
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(config).to(torch.bfloat16)
    for name, parameter in list(model.named_parameters()):
        owner, _, attribute = name.rpartition(".")
        value = unbacked_zeros(parameter)
        in_filled = any(name.startswith(f"model.layers.{i}.") for i in range(filled))
        if value.dim() == 1:
            value.normal_(1, 0.1)
        elif in_filled:
            value.normal_(0, 0.02)
        setattr(model.get_submodule(owner), attribute, torch.nn.Parameter(value, requires_grad=False))
    model.model.rotary_emb = LlamaRotaryEmbedding(config)
    return model.eval()


def dig_holes(path: pathlib.Path, saved: int) -> None:
    """Follows the writer of a file and gives back the room of zeros. `saved` is a pipe, closed when all is there."""
    keep_size, punch_hole = 1, 2  # FALLOC_FL_*
    punch = ctypes.CDLL(None, use_errno=True).fallocate64
    punch.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    zeros, at, is_whole = bytes(BLOCK), 0, False
    while not path.exists():
        time.sleep(0.01)
    with open(path, "r+b", buffering=0) as file:
        while not is_whole:
            is_whole = bool(select.select([saved], [], [], 0.01)[0])
            size = os.fstat(file.fileno()).st_size
            for at in range(at, size - BLOCK, BLOCK):
                if os.pread(file.fileno(), BLOCK, at) == zeros:
                    punch(file.fileno(), keep_size | punch_hole, at, BLOCK)
            at = max(0, size // BLOCK - 1) * BLOCK


def save(module: torch.jit.ScriptModule, path: pathlib.Path) -> None:
    path.unlink(missing_ok=True)
    saved, saving = os.pipe()
    digger = os.fork()  # no thread: save() keeps Python's lock
    if digger == 0:
        try:
            os.close(saving)
            dig_holes(path, saved)
        finally:
            os._exit(0)
    module.save(str(path))
    os.close(saving)
    os.waitpid(digger, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--filled", type=int, default=1, help="layers with random weights, 436 MB each")
    arguments = parser.parse_args()

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    model = make_model(arguments.layers, arguments.filled)
    inputs = [
        {"input_ids": torch.randint(0, 128256, size), "attention_mask": torch.ones(size, dtype=torch.int64)}
        for size in (TRACED, (2, 5))
    ]
    with torch.no_grad():
        traced = torch.jit.trace(model, example_kwarg_inputs=inputs[0], strict=False, check_trace=False)
    save(traced, arguments.output)
    for i, values in enumerate(inputs):
        torch.save(values, arguments.output.with_suffix(f".inputs{i + 1 if i else ''}.pt"))
    size = arguments.output.stat()
    print(f"{arguments.output}: {size.st_size / 1e9:.1f} GB, of which {size.st_blocks * 512 / 1e9:.1f} GB on disk")


if __name__ == "__main__":
    main()
