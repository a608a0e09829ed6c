"""batch: one line of JSON per export, and one that fails harms no other.

    batch_test.py MODELEXPORT FOLDER
"""

import json
import pathlib
import shutil
import sys

import checkpoints
import checks


def main(command: str, folder: str) -> None:
    output = pathlib.Path(folder) / "batch"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    cache = pathlib.Path(folder) / "checkpoints"
    paths = [checkpoints.traced(name, cache) for name in ("google/bert_uncased_L-2_H-128_A-2", "convnet", "lstm")]
    jobs = [
        {
            "id": path.stem,
            "model": str(path),
            "output": str(output / f"{path.stem}.onnx"),
            "inputs": [str(file) for file in checkpoints.input_files(path)],
        }
        for path in paths
    ]
    manifest = output / "manifest.jsonl"

    def run(jobs: list[dict], status: int) -> dict[str, dict]:
        manifest.write_text("".join(json.dumps(job) + "\n" for job in jobs))
        result = checks.run(command, "batch", manifest, "--jobs", "2", status=status)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        assert sorted(line["id"] for line in lines) == sorted(job["id"] for job in jobs), lines
        return {line["id"]: line for line in lines}

    results = run(jobs, status=0)
    assert all(result["status"] == "ok" for result in results.values()), results
    assert all(result["metrics"]["coverage_percentage"] == 100 for result in results.values()), results
    for path in paths:
        module, examples = checkpoints.load(path)
        session = checks.Session(output / f"{path.stem}.onnx")
        for inputs in examples:
            checks.check_numbers(session, module, inputs)

    damaged = output / "damaged.pt"
    damaged.write_bytes(paths[0].read_bytes()[:5000])
    bad = {"id": "bad", "model": str(damaged), "output": str(output / "bad.onnx")}
    manifest.write_text("".join(json.dumps(job) + "\n" for job in [bad, *jobs]))
    result = checks.run("/bin/sh", "-c", f"'{command}' batch '{manifest}'; test $? -ne 0")
    statuses = {line["id"]: line for line in map(json.loads, result.stdout.splitlines())}
    assert statuses["bad"]["status"] == "invalid" and statuses["bad"]["error"], statuses["bad"]
    assert all(statuses[job["id"]]["status"] == "ok" for job in jobs), statuses
    assert not (output / "bad.onnx").exists()
    shutil.rmtree(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
