"""Scripted modules, decoding loops among them, give the same as LibTorch at sizes and values of no example.

    scripted_test.py MODELEXPORT FOLDER
"""

import json
import pathlib
import shutil
import sys

import torch

import checks
import scripted_modules


def save(name: str, folder: pathlib.Path) -> dict:
    module, inputs = scripted_modules.MODULES[name]
    torch.manual_seed(0)
    torch.jit.script(module().eval()).save(str(folder / f"{name}.pt"))
    files = [folder / f"{name}.{k}.pt" for k in range(2)]
    for file, example in zip(files, inputs):
        torch.save(example, file)
    return {
        "id": name,
        "model": str(folder / f"{name}.pt"),
        "output": str(folder / f"{name}.onnx"),
        "inputs": [str(file) for file in files],
    }


def main(command: str, folder: str) -> None:
    output = pathlib.Path(folder) / "scripted"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    jobs = [save(name, output) for name in scripted_modules.MODULES]
    manifest = output / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(job) + "\n" for job in jobs))
    checks.run(command, "batch", manifest, "--jobs", "2")
    for job in jobs:
        checks.check_onnx(pathlib.Path(job["output"]))
        module, session = torch.jit.load(job["model"]), checks.Session(pathlib.Path(job["output"]))
        for inputs in scripted_modules.MODULES[job["id"]][1]:
            checks.check_numbers(session, module, inputs)
    shutil.rmtree(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
