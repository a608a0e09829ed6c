#!/usr/bin/env python3
"""Runs `modelexport batch` over a Ray cluster: shards the manifest, retries what a lost worker left, resumes.

    scripts/batch_on_ray.py MANIFEST.jsonl --results RESULTS.jsonl [--address auto] [--jobs 2] [--shard 32]

Without --address, a cluster of this machine alone is started for the run. Workers must see the same paths as the
manifest names (a shared file system) and have the command at the same place. Ray is on PyPI: pip install ray.

RESULTS.jsonl gets one line per export as it ends, as `modelexport batch` writes them. Run again with the same
file, and only what has no line there yet is exported; delete lines to have them done again. An export whose
worker is lost --retries times is given up as "crashed". The exit code is 0 only if all exports are ok.
"""

import argparse
import collections
import ctypes
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
from typing import Iterator

import ray
import ray.exceptions

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOST = (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError,
        ray.exceptions.ObjectLostError)  # fmt: skip


def die_with_parent() -> None:
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


@ray.remote(max_retries=0)  # retried by the driver, without what was done already
def export_shard(command: list[str], lines: list[str]) -> Iterator[str]:
    """The lines of the report, each as soon as it is there."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as manifest:
        manifest.write("\n".join(lines) + "\n")
        manifest.flush()
        process = subprocess.Popen([*command, manifest.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, preexec_fn=die_with_parent)  # fmt: skip
        reported = 0
        for line in process.stdout:
            reported += 1
            yield line
        error = process.stderr.read()
        if process.wait() < 0 or reported < len(lines):
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {error.strip()[-500:]}")


class Run:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.command = [str(arguments.command), "batch", "--jobs", str(arguments.jobs)]
        if arguments.timeout:
            self.command += ["--timeout", str(arguments.timeout)]
        self.cpus, self.size, self.retries = arguments.jobs, arguments.shard, arguments.retries
        self.lost = collections.Counter()  # how often a worker was lost with this export unfinished
        self.failed = 0
        self.todo = {json.loads(line)["id"]: line for line in read_lines(arguments.manifest)}
        total = len(self.todo)
        for line in read_lines(arguments.results) if arguments.results.exists() else []:
            self.count(json.loads(line))
        cut_unfinished_line(arguments.results)
        self.results = open(arguments.results, "a")
        say(f"{len(self.todo)} of {total} exports to do")

    def count(self, result: dict) -> None:
        self.todo.pop(result["id"], None)
        self.failed += result["status"] != "ok"

    def record(self, line: str) -> None:
        self.count(json.loads(line))
        self.results.write(line.rstrip("\n") + "\n")
        self.results.flush()

    def start(self, ids: list[str]):
        lines = [self.todo[id] for id in ids]
        return export_shard.options(num_cpus=self.cpus).remote(self.command, lines)

    def lost_shard(self, ids: list[str], error: Exception) -> list[list[str]]:
        """What to start in its place. One export alone tells whether it is the one that kills workers."""
        left = [id for id in ids if id in self.todo]
        self.lost.update(left)
        for id in [id for id in left if self.lost[id] >= self.retries]:
            text = f"its worker was lost {self.lost[id]} times: {str(error).splitlines()[0]}"
            self.record(json.dumps({"id": id, "status": "crashed", "error": text, "exit_code": 6}))
        left = [id for id in left if id in self.todo]
        say(f"a worker was lost; {len(left)} exports go to others")
        return [left] if all(self.lost[id] < self.retries - 1 for id in left) and left else [[id] for id in left]

    def run(self) -> int:
        ids = list(self.todo)
        running = {self.start(ids[i : i + self.size]): ids[i : i + self.size] for i in range(0, len(ids), self.size)}
        while running:
            (stream,), _ = ray.wait(list(running), num_returns=1)
            shard = running[stream]
            try:
                self.record(ray.get(next(stream)))
                continue
            except StopIteration:
                del running[stream]
            except (*LOST, ray.exceptions.RayTaskError) as error:
                del running[stream]
                for again in self.lost_shard(shard, error):
                    running[self.start(again)] = again
        self.results.close()
        say(f"done; {self.failed} not ok")
        return 1 if self.failed else 0


def read_lines(path: pathlib.Path) -> list[str]:
    """Whole lines: the last one may have been cut short when a run was stopped."""
    return [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n") and line.strip()]


def cut_unfinished_line(path: pathlib.Path) -> None:
    if path.exists():
        whole = path.read_bytes().rpartition(b"\n")
        os.truncate(path, len(whole[0]) + len(whole[1]))


def say(text: str) -> None:
    print(f"batch_on_ray: {text}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=pathlib.Path)
    parser.add_argument("--results", type=pathlib.Path, required=True)
    parser.add_argument("--address", help="of the cluster; auto: the one that this machine is part of")
    parser.add_argument("--jobs", type=int, default=2, help="exports at once in a shard; it takes as many CPUs")
    parser.add_argument("--shard", type=int, default=32, help="exports in a shard")
    parser.add_argument("--timeout", type=int, default=0, help="seconds for each export; 0: none")
    parser.add_argument("--retries", type=int, default=3)
    parser.add_argument("--command", type=pathlib.Path, default=ROOT / "bin/modelexport")
    arguments = parser.parse_args()
    arguments.command = arguments.command.absolute()
    ray.init(address=arguments.address, log_to_driver=False, include_dashboard=False)
    return Run(arguments).run()


if __name__ == "__main__":
    sys.exit(main())
