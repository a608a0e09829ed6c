#!/usr/bin/env python3
"""Makes a TorchScript checkpoint of a transformers model (or of one of the small networks here).

    models/trace.py gpt2 -o gpt2.pt                 a known architecture at its real size, random weights
    models/trace.py ./my-model -o my-model.pt       a folder of save_pretrained(), with its weights
    models/trace.py org/name -o name.pt             a model of the hub, if it can be reached
    models/trace.py --list                          the known architectures

Output is deterministic: one seed gives one file. The traced module is compared with the original at sizes it
was not traced with; where it differs, that is said, and only the traced sizes are right.
--inputs writes NAME.inputs.pt and NAME.inputs2.pt, example inputs of two sizes for `modelexport export --inputs`.
"""

import argparse
import logging
import os
import pathlib
import sys
import warnings

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import architectures  # noqa: E402

# Batch and sequence lengths: traced with, run at to see that the trace is general.
TRACED = (2, 12)
OTHERS = ((3, 7), (1, 19))


def randomize(model: torch.nn.Module) -> None:
    """Breaks up constant weights (zero biases, unit norms): with them, lost operators would not show."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.numel() > 1 and parameter.is_floating_point() and parameter.std() == 0:
                parameter.add_(torch.randn_like(parameter) * 0.05)
        for module in model.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)


def tensors_of(output) -> list[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        return [output]
    values = output.values() if isinstance(output, dict) else output
    return [t for value in values if value is not None for t in tensors_of(value)]


def differs_at(model, traced, inputs) -> str | None:
    """Why the traced module is not the model for these inputs, or None."""
    with torch.no_grad():
        expected = tensors_of(model(**inputs))
        try:
            actual = tensors_of(traced(**inputs))
        except RuntimeError as error:
            return str(error).strip().splitlines()[-1]
    if len(actual) != len(expected):
        return f"{len(actual)} outputs instead of {len(expected)}"
    for index, (a, e) in enumerate(zip(actual, expected)):
        if a.shape != e.shape:
            return f"output {index} has shape {list(a.shape)} instead of {list(e.shape)}"
        if not torch.allclose(a.float(), e.float(), rtol=1e-3, atol=1e-3):
            return f"output {index} differs by {(a.float() - e.float()).abs().max():.2g}"
    return None


def convert(model, inputs, script: bool):
    if script:
        return torch.jit.script(model)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the tracer, about Python values: what counts is checked below
        return torch.jit.trace(model, example_kwarg_inputs=inputs, strict=False, check_trace=False)


def save_inputs(inputs: dict[str, torch.Tensor], path: pathlib.Path) -> None:
    torch.save(inputs, path)
    print(f"{path}: " + ", ".join(f"{name} {list(t.shape)}" for name, t in inputs.items()))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", help="a name of --list, a transformers folder, or a name of the hub")
    parser.add_argument("-o", "--output", type=pathlib.Path, help="the checkpoint to write: NAME.pt")
    parser.add_argument("--list", action="store_true", help="print the known architectures and exit")
    parser.add_argument("--script", action="store_true", help="compile with torch.jit.script instead of tracing")
    parser.add_argument("--inputs", action="store_true", help="also write example inputs of two sizes")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float16", "bfloat16"))
    parser.add_argument("--attention", choices=("sdpa", "eager"), help="which attention of transformers")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights and inputs")
    arguments = parser.parse_args()
    if not arguments.list and not (arguments.model and arguments.output):
        parser.error("a model and -o NAME.pt are needed; --list shows the known models")
    return arguments


def main() -> int:
    arguments = parse_arguments()
    if arguments.list:
        print("\n".join(f"{name:40}{what}" for name, what in architectures.known()))
        return 0

    logging.disable(logging.WARNING)
    torch.manual_seed(arguments.seed)
    try:
        model, make_inputs = architectures.make(arguments.model, arguments.attention)
    except architectures.NotAvailable as error:
        print(f"trace.py: {error}", file=sys.stderr)
        return 1
    model = model.eval().to(getattr(torch, arguments.dtype))
    if architectures.has_random_weights(arguments.model):
        randomize(model)

    def inputs_at(sizes):
        torch.manual_seed(arguments.seed)
        inputs = make_inputs(*sizes)
        return {n: t.to(model_dtype) if t.is_floating_point() else t for n, t in inputs.items()}

    model_dtype = getattr(torch, arguments.dtype)
    converted = convert(model, inputs_at(TRACED), arguments.script)
    for sizes in OTHERS:
        if reason := differs_at(model, converted, inputs_at(sizes)):
            print(f"warning: not general, at batch {sizes[0]} and length {sizes[1]}: {reason}", file=sys.stderr)

    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    converted.save(str(arguments.output))
    print(f"{arguments.output}: {type(model).__name__}, {os.path.getsize(arguments.output) / 1e6:.1f} MB")
    if arguments.inputs:
        save_inputs(inputs_at(TRACED), arguments.output.with_suffix(".inputs.pt"))
        save_inputs(inputs_at(OTHERS[0]), arguments.output.with_suffix(".inputs2.pt"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
