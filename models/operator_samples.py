#!/usr/bin/env python3
"""Exports PyTorch's own samples of every operator, or of every module class of torch.nn, and checks the numbers.

    models/operator_samples.py make  --work DIR [--modules]      DIR/ID.pt, ID.in.pt... and DIR/made.jsonl
    models/operator_samples.py check --work DIR --command FILE   exports what has no result yet, compares, DIR/results.jsonl
    models/operator_samples.py page  --work DIR [-o PAGE.md]     the table

A sample is one call: its tensors are the inputs, all else is part of the source. It is made twice, traced and scripted
(where it can be written as source). A second sample that differs in sizes alone is the second example of the export, so
that dimensions are dynamic; other values of the same sizes are for comparing only. Needs the packages expecttest and pytest.
"""

import argparse
import collections
import json
import linecache
import logging
import math
import os
import pathlib
import random
import sys
import warnings

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import sweep  # noqa: E402
from trace import randomize  # noqa: E402

NAMES = {
    torch.float32: "f32", torch.float64: "f64", torch.float16: "f16", torch.int64: "i64", torch.int32: "i32",
    torch.uint8: "u8", torch.bool: "bool", torch.complex64: "c64",
}  # fmt: skip
TOLERANCES = {torch.float16: (4e-3, 4e-3), torch.float64: (1e-5, 1e-6)}
LOOKED_AT = 60  # samples of one operator and dtype


class NotText(Exception):
    """Something in a call that TorchScript source cannot say."""


class Sample:
    """One call as text, `torch.add(a0, a1, alpha=2)`, with its tensors."""

    def __init__(self, function: str, args, kwargs):
        self.tensors: list[torch.Tensor] = []
        self.objects: list = []  # what has no text; only tracing can have them
        parts = [self.text(value) for value in args]
        parts += [f"{name}={self.text(value)}" for name, value in kwargs.items()]
        if function.startswith("."):
            parts, function = parts[1:], parts[0] + function
        self.call = f"{function}({', '.join(parts)})"

    def text(self, value) -> str:
        if isinstance(value, torch.Tensor):
            if value.layout != torch.strided:
                raise NotText("a tensor that is not dense")
            self.tensors.append(value.detach().clone(memory_format=torch.contiguous_format))
            return f"a{len(self.tensors) - 1}"
        if isinstance(value, list):
            return "[" + ", ".join(map(self.text, value)) + "]"
        if type(value) in (tuple, torch.Size):
            return "(" + "".join(self.text(v) + ", " for v in value) + ")"
        if isinstance(value, float) and not math.isfinite(value):
            return f"float('{value}')"
        if isinstance(value, (int, float, complex, str, bool, type(None), torch.dtype)):
            return repr(value)
        if value is Ellipsis:
            return "..."
        if isinstance(value, slice):
            return "slice(" + ", ".join(map(self.text, (value.start, value.stop, value.step))) + ")"
        if isinstance(value, (torch.device, torch.layout, torch.memory_format)):
            return f"torch.device('{value}')" if isinstance(value, torch.device) else repr(value)
        self.objects.append(value)
        return f"objects[{len(self.objects) - 1}]"

    def shapes(self):
        return [t.shape for t in self.tensors]

    def kinds(self):
        """What must not differ between two examples: also which sizes are 1 (and broadcast) or 0."""
        return [(t.dtype, [min(size, 2) for size in t.shape]) for t in self.tensors]

    def module(self, names: dict, submodule=None) -> torch.nn.Module:
        """With a forward that makes the call; `names` are what the text may refer to."""
        arguments = ", ".join(f"a{i}" for i in range(len(self.tensors)))
        source = f"def forward(self, {arguments}):\n    return {self.call}\n"
        file = f"<{self.call[:60]} {id(self)}>"
        linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        scope = {"torch": torch, "objects": self.objects} | names
        exec(compile(source, file, "exec"), scope)
        result = type("Sample", (torch.nn.Module,), {"forward": scope["forward"]})().eval()
        if submodule is not None:
            result.module = submodule
        return result


def same(a, b) -> bool:
    a, b = sweep.flat(a), sweep.flat(b)
    return len(a) == len(b) and all(
        x.shape == y.shape and x.dtype == y.dtype and torch.allclose(x, y, equal_nan=True) for x, y in zip(a, b)
    )


def run(module, sample: Sample, seed=0):
    torch.manual_seed(seed)
    return module(*[t.clone() for t in sample.tensors])  # some samples write to their arguments


def save(ident: str, module, samples: list[Sample], check_only: Sample | None, work: pathlib.Path) -> dict:
    """Writes the checkpoint and its inputs, unless it does not give what the source gives."""
    if not sweep.flat(run(module, samples[0])):
        return {"id": ident, "status": "skipped", "error": "no tensor or number is its result"}
    module.save(str(work / f"{ident}.pt"))
    paths = []
    for number, sample in enumerate([*samples, *([check_only] if check_only else [])], 1):
        paths.append(str(work / f"{ident}.in{number}.pt"))
        torch.save(tuple(sample.tensors), paths[-1])
    return {"id": ident, "status": "made", "inputs": paths, "examples": len(samples)}


def converted(form: str, eager, sample: Sample):
    if form == "trace":
        inputs = tuple(t.clone() for t in sample.tensors)
        return torch.jit.trace(eager, inputs, check_trace=False, strict=False)
    if sample.objects:
        raise NotText("objects that no source can name")
    return torch.jit.script(eager)


def make_sample(ident: str, form: str, sample: Sample, others: list[Sample], again: Sample | None, names, submodule, work):
    """One checkpoint in one form, as a line of made.jsonl."""
    eager = sample.module(names, submodule)
    expected = run(eager, sample)
    try:
        module = converted(form, eager, sample)
        random_results = not same(run(eager, sample, 1), expected)
        if not random_results and not same(run(module, sample), expected):
            return {"id": ident, "status": "skipped", "error": "TorchScript itself gives something else"}
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return {"id": ident, "status": "skipped", "error": f"TorchScript: {lines[0][:150]}"}
    if any(t.dtype == torch.bfloat16 for t in sweep.flat(expected)):
        return {"id": ident, "status": "skipped", "error": "bfloat16, which numpy lacks"}
    examples = [sample]
    for other in others:
        if other.call == sample.call and other.kinds() == sample.kinds() and other.shapes() != sample.shapes():
            try:
                results = run(module, other)
                ranks = [t.dim() for t in sweep.flat(results)] == [t.dim() for t in sweep.flat(expected)]
                if ranks and (random_results or same(results, run(other.module(names, submodule), other))):
                    examples.append(other)
                    break
            except Exception:  # the operator, or the trace, does not take these sizes
                continue
    line = save(ident, module, examples, again, work)
    return line | {"call": sample.call, "random": random_results, "form": form}


def samples_of(op, dtype) -> list[Sample]:
    torch.manual_seed(0)
    random.seed(0)
    function = function_of(op)
    found = []
    for sample, _ in zip(op.sample_inputs("cpu", dtype), range(LOOKED_AT)):
        try:
            found.append(Sample(function, (sample.input, *sample.args), sample.kwargs))
        except NotText:
            pass
    return found


def function_of(op) -> str:
    """How source names the operator: a function of torch, a method, or `sample_op` for what is neither."""
    target = torch
    for part in op.name.split("."):
        target = getattr(target, part, None)
    if target is not None and op.op in (target, getattr(torch.Tensor, op.name, None)):
        return "torch." + op.name
    if op.op is getattr(torch.Tensor, op.name, 0) and not op.name.startswith("__"):
        return "." + op.name
    return "sample_op"


def make_operator(op, arguments) -> list[dict]:
    lines = []
    full = op.name + ("." + op.variant_test_name if op.variant_test_name else "")
    for dtype in arguments.dtypes:
        if dtype not in op.dtypes:
            continue
        samples, again = samples_of(op, dtype), []
        torch.manual_seed(1)
        limit = arguments.samples if dtype in (torch.float32, torch.int64) or torch.float32 not in op.dtypes else 1
        chosen = sorted({i * max(len(samples) - 1, 0) // max(limit - 1, 1) for i in range(limit)}) if samples else []
        function = function_of(op)
        for sample, _ in zip(op.sample_inputs("cpu", dtype), range(LOOKED_AT)):
            try:
                again.append(Sample(function, (sample.input, *sample.args), sample.kwargs))
            except NotText:
                pass
        for index in chosen:
            sample = samples[index]
            other = again[index] if index < len(again) else None
            if other is None or other.call != sample.call or other.shapes() != sample.shapes():
                other = None
            for form in ("trace", "script"):
                if form == "script" and function == "sample_op":
                    continue
                ident = f"{full}.{NAMES[dtype]}.{index}.{form}"
                try:
                    lines.append(make_sample(ident, form, sample, samples, other, {"sample_op": op.op}, None, arguments.work))
                except Exception as error:
                    what = (str(error).strip().splitlines() or [""])[0][:150]
                    lines.append({"id": ident, "status": "skipped", "error": f"{type(error).__name__}: {what}"})
    return lines


def make_module(info, arguments) -> list[dict]:
    lines = []
    for dtype in arguments.dtypes:
        if dtype not in info.dtypes:
            continue
        torch.manual_seed(0)
        inputs = info.module_inputs_func(info, "cpu", dtype, requires_grad=False, training=False)
        for index, value in enumerate(inputs[:LOOKED_AT]):
            if value.forward_input is None:
                continue
            for form in ("trace", "script"):
                ident = f"{info.name}.{NAMES[dtype]}.{index}.{form}"
                try:
                    made = value.constructor_input
                    module = info.module_cls(*made.args, **made.kwargs).to(dtype).eval()
                    randomize(module)
                    sample = Sample("self.module", value.forward_input.args, value.forward_input.kwargs)
                    again = Sample("self.module", value.forward_input.args, value.forward_input.kwargs)
                    again.tensors = [t.flip(-1) if t.is_floating_point() and t.dim() else t for t in sample.tensors]
                    lines.append(make_sample(ident, form, sample, [], again, {}, module, arguments.work))
                except Exception as error:
                    what = (str(error).strip().splitlines() or [""])[0][:150]
                    lines.append({"id": ident, "status": "skipped", "error": f"{type(error).__name__}: {what}"})
    return lines


def make_all(arguments) -> None:
    if arguments.modules:
        from torch.testing._internal.common_modules import module_db as entries
    else:
        from torch.testing._internal.common_methods_invocations import op_db as entries
    make = make_module if arguments.modules else make_operator
    arguments.dtypes = [d for d, name in NAMES.items() if name in arguments.dtypes]
    torch.set_grad_enabled(False)
    with open(arguments.work / "made.jsonl", "w") as out:
        for number, entry in enumerate(entries):
            if number % arguments.every or (arguments.only and entry.name not in arguments.only):
                continue
            made = sweep.in_child(lambda: {"lines": make(entry, arguments)}, arguments.timeout)
            for line in made.get("lines", [{"id": entry.name, "status": "skipped", "error": made.get("error")}]):
                out.write(json.dumps(line) + "\n")


def check_all(arguments) -> None:
    made = {n: r for n, r in sweep.lines_of(arguments.work / "made.jsonl").items() if r["status"] == "made"}
    if arguments.only:
        made = {n: r for n, r in made.items() if any(n.startswith(name) for name in arguments.only)}

    def compare(line, path):
        random_results = made[line["id"]]["random"]
        return sweep.compare(line, path, lambda dtype: None if random_results else TOLERANCES.get(dtype, (1e-4, 1e-5)))

    sweep.export_and_compare(arguments, made, compare)


def page(arguments) -> None:
    made = sweep.lines_of(arguments.work / "made.jsonl")
    results = sweep.lines_of(arguments.work / "results.jsonl")
    counts = collections.Counter(r["status"] for r in results.values())
    skipped = [r for r in made.values() if r["status"] != "made"]
    out = ["# Samples of PyTorch", ""]
    out += [f"{len(results)} exported: " + ", ".join(f"{n} {s}" for s, n in counts.most_common())
            + f". Of {sum(bool(r.get('random')) for r in made.values())} with random results, only dtypes and shapes are "
            + f"compared. {len(skipped)} more are skipped.", "",
            "| reason | samples | such as |", "| --- | --- | --- |"]  # fmt: skip
    reasons = collections.defaultdict(list)
    for name, result in results.items():
        if result["status"] != "ok":
            lines = [line.strip() for line in (result["error"] or "").splitlines()]
            reasons[f"{result['status']}: {lines[min(len(lines) - 1, 1)][:200]}"].append(name)
    for line in skipped:
        reasons["skipped: " + (line["error"] or "")[:200]].append(line["id"])
    for reason, names in sorted(reasons.items(), key=lambda item: (item[0].startswith("skipped"), -len(item[1]))):
        shown = ", ".join(f"`{n}`" for n in names[:3])
        out.append(f"| {reason.replace('|', chr(92) + '|')} | {len(names)} | {shown} |")
    arguments.output.write_text("\n".join(out) + "\n") if arguments.output else print("\n".join(out))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("make", "check", "page"))
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for all files")
    parser.add_argument("--modules", action="store_true", help="make: of torch.nn's modules, not of operators")
    parser.add_argument("--command", default="modelexport", help="the exporter")
    parser.add_argument("--only", nargs="*", help="these operators; check: what begins so, again")
    parser.add_argument("--again", action="store_true", help="check: all of them again")
    parser.add_argument("--dtypes", nargs="*", default=["f32", "f64", "f16", "i64", "i32", "u8", "bool"])
    parser.add_argument("--samples", type=int, default=3, help="of each operator for f32 and i64; one for other dtypes")
    parser.add_argument("--every", type=int, default=1, help="make: of each nth operator alone")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--timeout", type=int, default=120, help="seconds of processor time for each")
    parser.add_argument("-o", "--output", type=pathlib.Path, help="page: the file to write")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    {"make": make_all, "check": check_all, "page": page}[arguments.what](arguments)


if __name__ == "__main__":
    main()
