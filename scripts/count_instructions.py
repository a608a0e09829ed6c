#!/usr/bin/env python3
"""Counts the instructions of three fixed exports with callgrind, and fails if one grew by more than 10 %.

    scripts/count_instructions.py              compares with scripts/instructions.json
    scripts/count_instructions.py --record     writes it: after an improvement, or with a reason
    scripts/count_instructions.py --profile DIR   leaves callgrind's files there, for callgrind_annotate

Instructions are counted from when the library's export_checkpoint is called until it returns, in its thread:
without the start of LibTorch, and without the copying of weights, which other threads do. Unlike time, that is
the same on a busy machine. Needs valgrind; takes about a minute.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECORD = ROOT / "scripts/instructions.json"
MODELS = ("google/bert_uncased_L-2_H-128_A-2", "convnet", "lstm")
MOST = 1.10


def checkpoint_of(name: str, folder: pathlib.Path) -> pathlib.Path:
    path = folder / (pathlib.Path(name).name + ".pt")
    if not path.with_suffix(".inputs2.pt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        trace = [sys.executable, str(ROOT / "models/trace.py"), name, "-o", str(path), "--inputs"]
        subprocess.run(trace, check=True, stdout=subprocess.DEVNULL)
    return path


def count(command: pathlib.Path, checkpoint: pathlib.Path, profile: pathlib.Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        inputs = [str(checkpoint.with_suffix(suffix)) for suffix in (".inputs.pt", ".inputs2.pt")]
        result = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}",
             "--toggle-collect=modelexport::export_checkpoint(*", str(command), "export", str(checkpoint),
             "-o", f"{folder}/model.onnx", "--inputs", inputs[0], "--inputs", inputs[1], "--quiet"],
            stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
    collected = re.search(r"Collected : (\d+)", result.stderr)
    if result.returncode != 0 or collected is None:
        sys.exit(f"count_instructions: {checkpoint}: {result.stderr[-1000:]}")
    return int(collected[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--profile", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--command", type=pathlib.Path, default=ROOT / "bin/modelexport")
    parser.add_argument("--checkpoints", type=pathlib.Path, default=ROOT / "build/bench", help="where they are kept")
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed")
        return 77
    recorded = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    missing = [name for name in MODELS if name not in recorded]
    if missing and not arguments.record:
        sys.exit(f"count_instructions: nothing is recorded of {', '.join(missing)}: run it with --record first")
    counts, status = {}, 0
    with tempfile.TemporaryDirectory() as scratch:
        profiles = arguments.profile or pathlib.Path(scratch)
        profiles.mkdir(parents=True, exist_ok=True)
        for name in MODELS:
            checkpoint = checkpoint_of(name, arguments.checkpoints)
            counts[name] = count(arguments.command, checkpoint, profiles / f"{checkpoint.stem}.callgrind")
            before = recorded.get(name)  # none where it is recorded for the first time
            ratio = counts[name] / before if before else 1
            line = f"{name:<36} {counts[name] / 1e6:8.1f} million"
            print(line + (f", {ratio:.3f} of what is recorded" if before else ""), flush=True)
            if ratio > MOST and not arguments.record:
                print(f"{name}: grew by {100 * (ratio - 1):.0f} %; at most {100 * (MOST - 1):.0f} % may be added")
                status = 1
    if arguments.record:
        RECORD.write_text(json.dumps(counts, indent=2) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
