"""scripts/batch_on_ray.py on a cluster of this machine: a worker is killed half-way, and all exports are done
all the same; run again, nothing is left to do.

    ray_test.py MODELEXPORT FOLDER        needs Ray (pip install ray); skipped without it
"""

import importlib.util
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import checkpoints

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts/batch_on_ray.py"


def descendants(pid: int) -> list[int]:
    children = [int(p) for task in pathlib.Path(f"/proc/{pid}/task").glob("*") for p in (task / "children").read_text().split()]
    return children + [d for child in children for d in descendants(child)]


def title(pid: int) -> str:
    return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def main(command: str, folder: str) -> None:
    if importlib.util.find_spec("ray") is None:
        print("skipped: Ray is not installed")
        sys.exit(77)
    output = pathlib.Path(folder) / "ray"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    path = checkpoints.traced("google/bert_uncased_L-2_H-128_A-2", pathlib.Path(folder) / "checkpoints")
    inputs = [str(file) for file in checkpoints.input_files(path)]
    jobs = [
        {"id": f"m{i}", "model": str(path), "output": str(output / f"m{i}.onnx"), "inputs": inputs} for i in range(24)
    ]
    manifest, results = output / "manifest.jsonl", output / "results.jsonl"
    manifest.write_text("".join(json.dumps(job) + "\n" for job in jobs))

    def start() -> subprocess.Popen:
        arguments = [manifest, "--results", results, "--command", command, "--jobs", "1", "--shard", "8"]
        return subprocess.Popen([sys.executable, SCRIPT, *map(str, arguments)], stderr=subprocess.PIPE, text=True)

    def done() -> list[dict]:
        return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []

    driver = start()
    while not done():
        assert driver.poll() is None, driver.stderr.read()
        time.sleep(0.01)
    workers = [pid for pid in descendants(driver.pid) if "ray::export_shard" in title(pid)]
    os.kill(workers[0], signal.SIGKILL)
    before = len(done())
    _, messages = driver.communicate(timeout=500)
    assert driver.returncode == 0, messages
    assert before < len(jobs) and "a worker was lost" in messages, messages
    assert sorted(r["id"] for r in done()) == sorted(job["id"] for job in jobs), done()
    assert all(r["status"] == "ok" for r in done()), done()
    assert all(pathlib.Path(job["output"]).exists() for job in jobs)

    # Two are missing, one of them cut short: only those are done again.
    lines = results.read_text().splitlines(keepends=True)
    results.write_text("".join(lines[:-2]) + lines[-2][:20])
    again = start()
    _, messages = again.communicate(timeout=500)
    assert again.returncode == 0 and f"2 of {len(jobs)} exports to do" in messages, messages
    assert sorted(r["id"] for r in done()) == sorted(job["id"] for job in jobs), done()
    shutil.rmtree(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
