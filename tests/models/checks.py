"""Checks of an exported ONNX file that share nothing with modelexport: onnx, ONNX Runtime and torch.jit.load.

Each raises AssertionError with what was expected and what was found.
"""

import ast
import itertools
import pathlib
import subprocess

import numpy as np
import onnx
import onnxruntime
import torch

RTOL, ATOL = 1e-3, 1e-4
# Looser for 16-bit weights: the two runtimes round in different places.
LOW_PRECISION = {torch.float16: (1e-2, 1e-2), torch.bfloat16: (5e-2, 5e-2)}

# Constants that are no weights (shapes, scalars, tables of indices) may add this much to a file.
MAX_CONSTANT_BYTES = 1 << 20


def run(*command, status: int = 0) -> subprocess.CompletedProcess:
    """Runs modelexport (or anything); the exit code must be `status`."""
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    assert result.returncode == status, (
        f"exit code {result.returncode} instead of {status}: {' '.join(map(str, command))}\n"
        f"{result.stdout}{result.stderr}"
    )
    return result


# ---- the file itself -------------------------------------------------------------------------------------
def check_onnx(path: pathlib.Path) -> None:
    onnx.checker.check_model(str(path), full_check=True)


def all_nodes(graph):
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in [attribute.g, *attribute.graphs] if attribute.HasField("g") else attribute.graphs:
                yield from all_nodes(inner)


def metadata(node) -> dict[str, str]:
    return {entry.key: entry.value for entry in node.metadata_props}


def module_scopes(model: onnx.ModelProto) -> set[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Paths and classes from the root to each module that owns a node, with all modules in between."""
    scopes = set()
    for node in all_nodes(model.graph):
        tags = metadata(node)
        names = ast.literal_eval(tags["pkg.torch.onnx.name_scopes"])[:-1]
        classes = ast.literal_eval(tags["pkg.torch.onnx.class_hierarchy"])[:-1]
        scopes |= {(tuple(names[:n]), tuple(classes[:n])) for n in range(1, len(names) + 1)}
    return scopes


def check_tags(model: onnx.ModelProto, module: torch.jit.ScriptModule) -> None:
    """Every node, those in control flow too, has well-formed tags that name a module of the live tree."""
    live = {path: submodule.original_name for path, submodule in module.named_modules(remove_duplicate=False)}
    seen_names = set()
    for node in all_nodes(model.graph):
        assert node.name and node.name not in seen_names, f"node name not unique: '{node.name}'"
        seen_names.add(node.name)
        tags = metadata(node)
        assert len(tags) == len(node.metadata_props), f"{node.name}: duplicate metadata keys"
        for key in ("namespace", "hierarchy_tag", "pkg.torch.onnx.class_hierarchy", "pkg.torch.onnx.name_scopes"):
            assert tags.get(key), f"{node.name}: no {key}"
        names = ast.literal_eval(tags["pkg.torch.onnx.name_scopes"])
        classes = ast.literal_eval(tags["pkg.torch.onnx.class_hierarchy"])
        segments = [f"{name}: {class_name}" for name, class_name in zip(names, classes, strict=True)]
        assert not any("/" in segment for segment in segments), f"{node.name}: '/' within a segment: {segments}"
        assert tags["namespace"] == "/".join(segments), f"{node.name}: {tags['namespace']} is not {segments}"
        assert names[0] == "", f"{node.name}: scopes do not begin at the root: {names}"
        assert tags["hierarchy_tag"].startswith("/"), f"{node.name}: {tags['hierarchy_tag']}"
        for path, class_name in zip(names[:-1], classes[:-1]):
            assert path in live, f"{node.name}: the module has no '{path}'"
            assert class_name.rsplit(".", 1)[-1] == live[path], f"{node.name}: '{path}' is no {class_name}"


# ---- weights -----------------------------------------------------------------------------------------------
def tensor_bytes(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def identity(tensor: torch.Tensor) -> tuple:
    """Equal for tensors that are the same view of one storage."""
    return tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride()


def check_weights(
    path: pathlib.Path, module: torch.jit.ScriptModule, all_parameters: bool = True
) -> dict[str, onnx.TensorProto]:
    """Each parameter once, under one of its state-dict names, byte for byte; hardly anything besides.

    all_parameters: the graph must use every parameter. Returns the initializers by name.
    """
    model = onnx.load(str(path))
    state = dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers(remove_duplicate=False))
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    assert len(initializers) == len(model.graph.initializer), "two initializers have one name"

    found: dict[tuple, str] = {}
    constant_bytes = 0
    for name, initializer in initializers.items():
        if name not in state:
            constant_bytes += len(initializer.raw_data)
            continue
        tensor = state[name]
        other = found.setdefault(identity(tensor), name)
        assert other == name or tensor.numel() == 0, f"'{name}' and '{other}' are one tensor but stored twice"
        assert list(initializer.dims) == list(tensor.shape), f"'{name}': {initializer.dims} is not {tensor.shape}"
        assert initializer.raw_data == tensor_bytes(tensor), f"'{name}': bytes differ from the live module's"
        assert onnx.helper.tensor_dtype_to_np_dtype(initializer.data_type).name == str(tensor.dtype)[6:], name
    assert constant_bytes <= MAX_CONSTANT_BYTES, f"{constant_bytes} bytes of initializers are no weights"
    if all_parameters:
        missing = [n for n, p in module.named_parameters() if p.numel() and identity(p) not in found]
        assert not missing, f"parameters that are not in the file: {missing}"
    return initializers


# ---- numbers -----------------------------------------------------------------------------------------------
# By argument: tensors, numbers, and lists, tuples and dicts of such.
Inputs = dict[str, object]


def other_sizes(first: Inputs, second: Inputs) -> list[Inputs]:
    """Three sets of inputs in which every dimension that differs between the examples has new sizes.

    Dimensions that had the same sizes in both examples are taken for one dimension.
    """
    generator = torch.Generator().manual_seed(1)
    pairs = {
        (a, b) for name in first for a, b in zip(first[name].shape, second[name].shape) if a != b
    }
    choices = [lambda a, b: max(a, b) + 5, lambda a, b: 1 if min(a, b) < 16 else min(a, b) - 1,
               lambda a, b: 2 * max(a, b) + 1]  # fmt: skip
    result = []
    for choose in choices:
        sizes = {pair: choose(*pair) for pair in pairs}
        inputs = {}
        for name, example in first.items():
            shape = [sizes.get(pair, pair[0]) for pair in zip(example.shape, second[name].shape)]
            inputs[name] = make_like(example, shape, generator)
        result.append(inputs)
    return result


def make_like(example: torch.Tensor, shape: list[int], generator: torch.Generator) -> torch.Tensor:
    if example.is_floating_point():
        return torch.randn(shape, generator=generator).to(example.dtype)
    low, high = int(example.min()), int(example.max())
    if high <= 1:  # a mask: the first ones are set, all of them in the first row
        mask = torch.ones(shape, dtype=example.dtype)
        mask[1:, (shape[-1] + 1) // 2 :] = 0
        return mask
    return torch.randint(low, high + 1, shape, generator=generator, dtype=example.dtype)


def flatten(value, name: str = "output") -> list[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        return [(name, value)]
    if isinstance(value, (bool, int, float)):
        return [(name, torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None))]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return list(itertools.chain.from_iterable(flatten(item, str(key)) for key, item in items))


def to_numpy(value: torch.Tensor | int | float | bool) -> np.ndarray:
    return value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def at(inputs: Inputs, name: str) -> torch.Tensor | int | float | bool:
    value = inputs
    for key in name.split("."):
        value = value[int(key)] if isinstance(value, (list, tuple)) else value[key]
    return value


class Session:
    """The exported file in ONNX Runtime."""

    def __init__(self, path: pathlib.Path):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.input_names = [i.name for i in self.session.get_inputs()]
        self.output_names = [o.name for o in self.session.get_outputs()]

    def __call__(self, inputs: Inputs) -> list[np.ndarray]:
        return self.session.run(None, {name: to_numpy(at(inputs, name)) for name in self.input_names})


def check_numbers(session: Session, module: torch.jit.ScriptModule, inputs: Inputs) -> float:
    """Outputs of ONNX Runtime against the live module's. Returns the largest absolute difference."""
    shapes = {name: list(getattr(value, "shape", [])) for name, value in inputs.items()}
    with torch.no_grad():
        output = module(**inputs)
    expected = flatten(output)
    actual = session(inputs)
    assert len(actual) == len(expected), f"{len(actual)} outputs instead of {len(expected)}"
    worst = 0.0
    for (name, e), a, output_name in zip(expected, actual, session.output_names):
        if isinstance(output, dict):
            assert output_name == name, f"output '{output_name}' should be named '{name}'"
        assert list(a.shape) == list(e.shape), f"{output_name} at {shapes}: {a.shape} instead of {e.shape}"
        assert str(a.dtype) == str(e.dtype)[6:], f"{output_name}: {a.dtype} instead of {e.dtype}"
        rtol, atol = LOW_PRECISION.get(e.dtype, (RTOL, ATOL))
        difference = np.abs(a.astype(np.float64) - to_numpy(e).astype(np.float64))
        worst = max(worst, float(difference.max(initial=0)))
        assert np.allclose(a, to_numpy(e), rtol=rtol, atol=atol), (
            f"{output_name} at {shapes}: max difference {difference.max():.3g}"
        )
    return worst
