"""Scripted modules that are called in loops, branches and several ways: local functions, and each module alone.

    scripted_parts_test.py MODELEXPORT FOLDER
"""

import json
import pathlib
import shutil
import sys

import onnx
import torch

import checks
import scripted_modules
import scripted_test

# How many functions there are of each class: one for each body that is not the same.
FUNCTIONS = {
    "Greedy": {"Step": 2, "Embedding": 1, "Linear": 1},  # the first step has a cache without contents
    "GreedyUntilAllEnd": {"Step": 1, "Embedding": 1, "Linear": 1},
    "ModulesByName": {"Doubled": 1, "Projected": 1, "Linear": 1},
    "CalledInManyWays": {"Squashing": 2, "Linear": 1},
    "ModulesThatPassContainers": {"PassesOn": 2},  # what the first call writes to is used later
}
PARTS = {
    "Greedy": ["step", "step.embedding"],
    "GreedyUntilAllEnd": ["step", "step.head"],
    "ModulesByName": ["by_name.projected", "in_order.1"],
    "CalledInManyWays": ["first", "second.linear"],
    "ModulesThatPassContainers": ["inner", "again"],
}


def main(command: str, folder: str) -> None:
    output = pathlib.Path(folder) / "scripted_parts"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    jobs = []
    for name, parts in PARTS.items():
        job = scripted_test.save(name, output)
        jobs.append(job | {"functions": True, "verify": True})
        jobs += [
            job | {"id": f"{name}:{part}", "output": f"{output}/{name}.{part}.onnx", "module": part, "verify": True}
            for part in parts
        ]
    manifest = output / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(job) + "\n" for job in jobs))
    checks.run(command, "batch", manifest, "--jobs", "2")
    for job in jobs:
        file = pathlib.Path(job["output"])
        checks.check_onnx(file)
        if "module" in job:
            continue
        module, session = torch.jit.load(job["model"]), checks.Session(file)
        for inputs in scripted_modules.MODULES[job["id"]][1]:
            checks.check_numbers(session, module, inputs)
        found: dict[str, int] = {}
        for function in onnx.load(str(file), load_external_data=False).functions:
            name = function.name.rsplit("_", 1)[0] if function.name[-1].isdigit() else function.name
            found[name] = found.get(name, 0) + 1
        assert found == FUNCTIONS[job["id"]], (job["id"], found)
    shutil.rmtree(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
