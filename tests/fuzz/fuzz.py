"""Differential fuzzer: small random TorchScript modules, LibTorch against ONNX Runtime.

    fuzz.py MODELEXPORT [--seconds 60] [--seed 0]

Each module is a few statements drawn from TEMPLATES (operators, dtypes, control flow, writes to views, lists), which are
executed as they are drawn, on inputs of two sizes, so that only modules that run are exported. `modelexport batch` exports
them with both sizes and compares numbers there and at other sizes. What differs or crashes is reduced to the fewest
statements that still show it, and printed as a case for tests/ops. Exit code 1 if there is any.
"""

import argparse
import itertools
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
import warnings

import torch

SIZES = {"b": (2, 3), "s": (5, 4)}
# dtype and dimensions of each input
INPUTS = {
    "x": ("f32", ["b", "s", 4]),
    "y": ("f32", ["b", 1, 4]),
    "w": ("f32", [4, 4]),
    "i": ("i64", ["b", "s"]),
    "m": ("bool", ["b", "s"]),
    "h": ("f64", ["s"]),
}
DTYPES = {"f32": torch.float32, "f64": torch.float64, "i64": torch.int64, "bool": torch.bool, "f16": torch.float16}

# {a} {b} {c}: earlier values; {v}: the new one; {n}: a small integer, {p}: a positive one; {f}: a float; {d}: a dtype.
# A template is Python and TorchScript alike.
TEMPLATES = """
{v} = {a} + {b}
{v} = {a} - {b} * {f}
{v} = torch.add({a}, {b}, alpha={n})
{v} = {a} * {b}
{v} = {a} / {p}
{v} = {a} // {p}
{v} = {a} % {p}
{v} = torch.remainder({a}, {b})
{v} = torch.fmod({a}, {p})
{v} = torch.pow({a}, {p})
{v} = torch.floor_divide({a}, {p})
{v} = torch.div({a}, {p}, rounding_mode="trunc")
{v} = torch.maximum({a}, {b})
{v} = torch.atan2({a}, {b})
{v} = {a} > {b}
{v} = {a} == {n}
{v} = torch.where({a} > {f}, {b}, {c})
{v} = torch.where({m}, {a}, {f})
{v} = {a}.masked_fill({m}, {f})
{v} = torch.logical_xor({a} > 0, {m})
{v} = ~{m}
{v} = {i} & {p}
{v} = {i} << {p}
{v} = torch.bitwise_not({i})
{v} = torch.relu({a})
{v} = torch.sigmoid({a})
{v} = torch.tanh({a})
{v} = torch.exp(-{a}.abs())
{v} = torch.sqrt({a}.abs())
{v} = torch.round({a} * {f})
{v} = torch.sign({a})
{v} = torch.clamp({a}, {n}, {p})
{v} = torch.clamp({a}, min={f})
{v} = {a}.abs().log1p()
{v} = {a}.to({d})
{v} = {a}.float()
{v} = {a}.type_as({b})
{v} = torch.sum({a}, dim={n})
{v} = torch.sum({a})
{v} = torch.mean({a}.float(), dim=[{n}], keepdim=True)
{v} = {a}.amax({n})
{v} = torch.max({a}, {n})[0]
{v} = torch.argmax({a}, {n})
{v} = torch.argmin({a}, {n}, keepdim=True)
{v} = torch.prod({a}, {n})
{v} = torch.var({a}.float(), dim=[{n}], unbiased=False)
{v} = torch.std({a}.float(), {n}, keepdim=True)
{v} = torch.any({m}, {n})
{v} = torch.all({m})
{v} = torch.cumsum({a}, {n})
{v} = torch.softmax({a}.float(), {n})
{v} = torch.log_softmax({a}.float(), {n})
{v} = torch.logsumexp({a}.float(), [{n}])
{v} = torch.norm({a}.float(), 2, [{n}])
{v} = torch.sort({a}.float(), dim={n})[0]
{v} = torch.topk({a}.float(), 1, dim={n})[0]
{v} = torch.matmul({a}, {b})
{v} = torch.matmul({a}.float(), w)
{v} = torch.nn.functional.linear({a}.float(), w)
{v} = torch.einsum("...d,de->...e", {a}.float(), w)
{v} = {a}.transpose({n}, {p})
{v} = {a}.transpose(0, 1).contiguous()
{v} = {a}.permute([1, 0])
{v} = {a}.permute([-1, 0, 1])
{v} = {a}.unsqueeze({n})
{v} = {a}.unsqueeze({n}).squeeze({n})
{v} = {a}.flatten({n})
{v} = {a}.flatten()
{v} = {a}.reshape([-1])
{v} = {a}.reshape([{a}.size(0), -1])
{v} = {a}.view([-1, {a}.size(-1)])
{v} = {a}.expand([{p}] + list({a}.size()))
{v} = {a}.repeat([{p}] + [1] * {a}.dim())
{v} = torch.cat([{a}, {b}], {n})
{v} = torch.cat([{a}, {a}], {n})
{v} = torch.stack([{a}, {b}], {n})
{v} = {a}[0]
{v} = {a}[-1:]
{v} = {a}[:, {n}]
{v} = {a}[..., {n}]
{v} = {a}[:, 1:]
{v} = {a}[..., ::{p}]
{v} = {a}[{m}]
{v} = {a}[torch.tensor([0, 1])]
{v} = {a}.select({n}, 0)
{v} = {a}.narrow({n}, 0, 1)
{v} = torch.chunk({a}, 2, {n})[0]
{v} = torch.split({a}, {p}, {n})[-1]
{v} = torch.unbind({a}, {n})[0]
{v} = torch.flip({a}, [{n}])
{v} = torch.roll({a}, {p}, {n})
{v} = torch.tril({a})
{v} = torch.diagonal({a}, 0, -2, -1)
{v} = torch.gather({a}, {n}, torch.argsort({a}.float(), {n}))
{v} = torch.index_select({a}, {n}, torch.tensor([1, 0]))
{v} = torch.take_along_dim({a}, torch.argmax({a}, -1, keepdim=True), -1)
{v} = torch.nn.functional.one_hot({i}.abs() % 3, 3)
{v} = torch.nn.functional.embedding({i}.abs() % 4, w)
{v} = torch.nn.functional.pad({a}, [1, {p}])
{v} = torch.nn.functional.pad({a}, [0, 1], value={f})
{v} = torch.nonzero({m})
{v} = torch.zeros_like({a}) + {n}
{v} = torch.arange({a}.size({n}))
{v} = torch.arange({n}, {a}.size(0) + {p}, {p})
{v} = torch.full([{a}.size(0), {p}], {f})
{v} = torch.ones([{a}.size({n})], dtype={d})
{v} = torch.tensor({a}.size({n})) + {b}
{v} = {a}.new_zeros([{a}.size(0)]) + {n}
{v} = {a} * {a}.size({n})
{v} = {a} + {a}.numel() // {p}
{v} = {a}.sum().item() + {b}
{v} = {a}.clone();; {v}[0] = {f}
{v} = {a}.clone();; {v}[..., 0] += {p}
{v} = {a}.clone();; {v}[:, 1:].mul_({p})
{v} = {a}.clone();; {v}.transpose(0, 1)[0].fill_({n})
{v} = {a}.clone();; {v}.select({n}, 0).copy_({v}.select({n}, 1))
{v} = {a}.clone();; {v}.view([-1])[1:3].add_({n})
{v} = {a}.clone();; u{v} = {v}[0];; {v}.add_({p});; {v} = {v} + u{v}
{v} = {a}.clone();; {v}[{v} > {f}] = {n}
{v} = {a}.clone();; {v}.masked_fill_({m}, {n})
{v} = {a}.clone();; {v}.index_put_([torch.tensor([0, 1])], {v}[torch.tensor([1, 0])])
{v} = torch.zeros_like({a});; {v}.scatter_({n}, torch.argsort({a}.float(), {n}), {a})
{v} = {a};; if bool({a}.sum() > {f}):;;     {v} = {v} + {b};; else:;;     {v} = {v} - {p}
{v} = {a};; if {a}.size(0) > 2:;;     {v} = {v} * {p}
{v} = {a}.clone();; if bool({m}.any()):;;     {v}[0] = {n}
{v} = {a};; for k in range({p}):;;     {v} = {v} * {f} + k
{v} = {a}[0];; for k in range({a}.size(0)):;;     {v} = {v} * {f} + {a}[k]
{v} = {a}.clone();; for k in range({v}.size(0)):;;     {v}[k] += k
{v} = {a};; k{v} = 0;; while k{v} < {a}.size(0):;;     {v} = {v} + k{v};;     k{v} += 1
{v} = {a};; while bool({v}.sum() > -{p}):;;     {v} = {v} - {p}
l{v} = [{a}, {b}];; l{v}.append({a});; {v} = torch.stack(l{v})
l{v} = [{a}[0]];; for k in range({a}.size(0)):;;     l{v}.append({a}[k] * k);; {v} = torch.stack(l{v})
l{v} = [{a}];; l{v}[0] = l{v}[0] + {b};; {v} = l{v}[-1]
q{v}, {v} = torch.max({a}, {n});; {v} = {v} + q{v}
q{v} = list({a}.size());; {v} = {a}.reshape(q{v}[:-1] + [1, q{v}[-1]])
{v} = {a};; for part in torch.unbind({a}, 0):;;     {v} = {v} + part
""".strip().splitlines()


def tensor(dtype: str, dims: list, example: int, generator: torch.Generator) -> torch.Tensor:
    shape = [SIZES[d][example] if isinstance(d, str) else d for d in dims]
    if dtype == "bool":
        return torch.rand(shape, generator=generator) > 0.5
    if dtype == "i64":
        return torch.randint(-5, 6, shape, generator=generator)
    return torch.randn(shape, generator=generator).to(DTYPES[dtype])


class Module:
    """Statements in order, each with the variable that it makes; the last one, or `result`, is returned."""

    def __init__(self, steps: list[tuple[str, str]], result: str | None = None):
        self.result = result or steps[-1][0]
        self.steps, wanted = [], {self.result}
        for name, step in reversed(steps):  # only what the result depends on
            if name in wanted:
                self.steps.insert(0, (name, step))
                wanted |= set(re.findall(r"\bv\d+\b", step))
        lines = [line for _, step in self.steps for line in step.split(";; ")]
        self.inputs = [name for name in INPUTS if re.search(rf"\b{name}\b", "\n".join(lines))]
        self.body = [*lines, f"return {self.result}"]

    def source(self) -> str:
        return f"def forward(self, {', '.join(self.inputs)}):\n" + "".join(f"    {line}\n" for line in self.body)

    def examples(self, values: list[dict]) -> list[dict]:
        return [{name: example[name] for name in self.inputs} for example in values]

    def as_case(self) -> str:
        dims = {"b": "b=2|3", "s": "s=5|4"}
        lines = ["case found"]
        for name in self.inputs:
            dtype, shape = INPUTS[name]
            lines.append(f"  {name}: {dtype}[{', '.join(str(dims.get(d, d)) for d in shape)}]")
            dims = {d: d if d in shape else text for d, text in dims.items()}
        return "\n".join([*lines, *(f"  | {line}" for line in self.body)])


serial = itertools.count()


def useful(value) -> bool:
    if not isinstance(value, torch.Tensor) or value.numel() > 4096:
        return False
    numbers = value.double()
    return bool(numbers.isfinite().all()) and (value.numel() == 0 or float(numbers.abs().max()) < 1e4)


class Generator:
    def __init__(self, seed: int):
        self.random = random.Random(seed)
        generator = torch.Generator().manual_seed(seed)
        self.values = [
            {name: tensor(dtype, dims, example, generator) for name, (dtype, dims) in INPUTS.items()}
            for example in (0, 1)
        ]

    def module(self) -> Module | None:
        """A module that LibTorch compiles, and that runs at both sizes."""
        environment = dict(self.values[0])
        steps: list[tuple[str, str]] = []
        for _ in range(self.random.randint(2, 8) * 4):
            name = f"v{len(steps)}"
            step = self.step(name, list(environment))
            scope = {k: v.clone() for k, v in environment.items()}
            try:
                exec(step.replace(";; ", "\n"), {"torch": torch}, scope)
            except Exception:
                continue
            if useful(scope[name]):
                environment[name] = scope[name]
                steps.append((name, step))
            if len(steps) == 8:
                break
        if not steps:
            return None
        module = Module(steps)
        return module if module.inputs and compiled(module, self.values) is not None else None

    def step(self, name: str, known: list[str]) -> str:
        def pick(match: re.Match) -> str:
            kind = match[1]
            if kind in INPUTS:
                return kind
            return {
                "v": lambda: name,
                "n": lambda: str(self.random.randint(-2, 2)),
                "p": lambda: str(self.random.randint(1, 3)),
                "f": lambda: str(self.random.choice([-0.5, 0.0, 0.25, 1.5])),
                "d": lambda: "torch." + self.random.choice(["float32", "float64", "int64", "int32", "bool"]),
            }.get(kind, lambda: chosen.setdefault(kind, self.random.choice(known[-4:] + known)))()

        chosen: dict[str, str] = {}  # {a} is the same all over a template
        return re.sub(r"\{(\w)\}", pick, self.random.choice(TEMPLATES))


def compiled(module: Module, values: list[dict]) -> torch.jit.ScriptModule | None:
    """None if LibTorch does not compile it, or if it does not run on both examples."""
    # A class of its own, since a method is defined once for a class.
    script = type(f"Fuzz{next(serial)}", (torch.jit.ScriptModule,), {})()
    try:
        script.define(module.source())
        with torch.no_grad():
            results = [script(**{k: v.clone() for k, v in e.items()}) for e in module.examples(values)]
    except Exception:
        return None
    ranks = {(result.dim(), result.dtype) for result in results}
    return script if len(ranks) == 1 and all(map(useful, results)) else None


class Runner:
    def __init__(self, command: str, folder: pathlib.Path, values: list[dict]):
        self.command, self.folder, self.values = command, folder, values

    def failures(self, modules: list[Module]) -> dict[int, dict]:
        """What the command says of the modules that it does not export right, by index."""
        lines = []
        for n, module in enumerate(modules):
            script = compiled(module, self.values)
            if script is None:
                continue
            script.save(str(self.folder / f"{n}.pt"))
            files = []
            for k, example in enumerate(module.examples(self.values)):
                files.append(str(self.folder / f"{n}.{k}.pt"))
                torch.save(example, files[-1])
            job = {"id": str(n), "model": str(self.folder / f"{n}.pt"), "inputs": files, "verify": True,
                   "output": str(self.folder / f"{n}.onnx")}  # fmt: skip
            lines.append(json.dumps(job))
        manifest = self.folder / "manifest.jsonl"
        manifest.write_text("\n".join(lines))
        result = subprocess.run(
            [self.command, "batch", str(manifest), "--jobs", "2", "--timeout", "60"], capture_output=True, text=True
        )
        reports = [json.loads(line) for line in result.stdout.splitlines()]
        return {int(r["id"]): r for r in reports if r["status"] != "ok"}

    def reduced(self, module: Module) -> tuple[Module, dict]:
        """The smallest part of a module that fails: what makes its first wrong value."""
        parts = [Module(module.steps, name) for name, _ in module.steps]
        failures = self.failures(parts)
        if not failures:
            raise RuntimeError("it does not fail again")
        first = min(failures, key=lambda n: len(parts[n].steps))
        return parts[first], failures[first]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", help="modelexport")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--modules", type=int, default=1 << 30, help="stop after so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=40, help="modules for each start of the command")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    end = time.monotonic() + options.seconds
    made, found = 0, {}
    with tempfile.TemporaryDirectory() as folder:
        seed = options.seed
        while time.monotonic() < end and made < options.modules:
            generator = Generator(seed)
            runner = Runner(options.command, pathlib.Path(folder), generator.values)
            modules = []
            while len(modules) < min(options.batch, options.modules - made) and time.monotonic() < end:
                if (module := generator.module()) is not None:
                    modules.append(module)
            for n in runner.failures(modules):
                module, report = runner.reduced(modules[n])
                # The same statement with other numbers is the same finding.
                kind = (report["status"], re.sub(r"\bv?\d+\b", "#", module.steps[-1][1]))
                if kind not in found:
                    found[kind] = module
                    print(f"# seed {seed}: {report['status']}: {report['error']}\n{module.as_case()}\n", flush=True)
            made += len(modules)
            seed += 1
    print(f"{made} modules, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
