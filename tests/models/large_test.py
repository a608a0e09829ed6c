"""A very large checkpoint (models/large.py): memory that does not grow with it, files beyond protobuf's 2 GB.

    large_test.py MODELEXPORT FOLDER LAYERS

The file is mostly holes, of which ONNX Runtime cannot have an opinion that fits into memory: what is looked at is
that exports with external and with in-place weights hold, by export's own check and by `validate`.
"""

import json
import pathlib
import resource
import shutil
import subprocess
import sys
import time

import checks
import onnx

LARGE = pathlib.Path(__file__).resolve().parents[2] / "models/large.py"
MOST_MEMORY_MB = 1000


def run(*command: str) -> subprocess.CompletedProcess:
    start = time.perf_counter()
    result = checks.run(*command)
    print(f"{' '.join(command[1:3])} ...: {time.perf_counter() - start:.1f} s")
    return result


def check_file(path: pathlib.Path, checkpoint: pathlib.Path, data: str) -> None:
    model = onnx.load(str(path), load_external_data=False)
    weights = {tensor.name: tensor for tensor in model.graph.initializer if tensor.external_data}
    largest = weights["model.embed_tokens.weight"]
    assert list(largest.dims) == [128256, 4096] and largest.data_type == onnx.TensorProto.BFLOAT16, largest.dims
    locations = {entry.value for w in weights.values() for entry in w.external_data if entry.key == "location"}
    assert locations <= {data, checkpoint.name}, locations
    assert data in locations, locations
    onnx.checker.check_model(str(path))


def main(command: str, folder: str, layers: str) -> None:
    work = pathlib.Path(folder) / f"large{layers}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    checkpoint = work / "large.pt"
    run(sys.executable, str(LARGE), "--layers", layers, "--filled", "0", "-o", str(checkpoint))
    inputs = [part for i in ("", "2") for part in ("--inputs", str(checkpoint.with_suffix(f".inputs{i}.pt")))]
    for weights, data in (("in-place", checkpoint.name), ("external", "external.onnx.data")):
        output, metrics = work / f"{weights}.onnx", work / f"{weights}.json"
        run(command, "export", str(checkpoint), *inputs, "-o", str(output), "--weights", weights,
                     "--metrics", str(metrics))  # fmt: skip
        measured = json.loads(metrics.read_text())
        print({name: round(value, 2) for name, value in measured.items() if name.endswith(("_time", "_mb"))})
        assert measured["memory_peak_mb"] < MOST_MEMORY_MB, measured
        assert measured["coverage_percentage"] == 100 and measured["validation_success_rate"] == 1, measured
        check_file(output, checkpoint, data)
        run(command, "validate", "--input", str(output), "--model", str(checkpoint), *inputs)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    print(f"largest process: {peak:.0f} MB")
    shutil.rmtree(work)


if __name__ == "__main__":
    main(*sys.argv[1:])
