#!/usr/bin/env python3
"""Exports every architecture of the installed transformers, shrunken, and checks the numbers.

    models/sweep.py trace --work DIR                 NAME.pt, NAME.in.pt, NAME.in2.pt and DIR/manifest.jsonl
    models/sweep.py check --work DIR --command FILE  exports what has no result yet, compares, writes DIR/results.jsonl
    models/sweep.py page  --work DIR [-o PAGE.md]    the table

One class per model type. Each architecture has its own process and time limit. Numbers are compared between ONNX Runtime
and the TorchScript module at the two sizes of the examples and at a third.
"""

import argparse
import collections
import functools
import hashlib
import importlib.metadata
import json
import logging
import multiprocessing
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time
import traceback
import warnings

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import shrink  # noqa: E402
import trace as tracing  # noqa: E402

SIZES = ((2, 12), (3, 7), (1, 19))
LARGEST = 120e6  # parameters
# Heads in the order of preference; the first that has a model type stands for it.
HEADS = (
    "CAUSAL_LM", "SEQ_TO_SEQ_CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "MASKED_LM", "IMAGE_CLASSIFICATION",
    "OBJECT_DETECTION", "SEMANTIC_SEGMENTATION", "UNIVERSAL_SEGMENTATION", "DEPTH_ESTIMATION", "CTC",
    "SPEECH_SEQ_2_SEQ", "AUDIO_CLASSIFICATION", "VIDEO_CLASSIFICATION", "QUESTION_ANSWERING", "",
    "TEXT_TO_WAVEFORM", "TEXT_TO_SPECTROGRAM", "BACKBONE", "PRETRAINING", "KEYPOINT_DETECTION", "IMAGE_TO_IMAGE",
)  # fmt: skip


def architectures() -> dict[str, str]:
    """Model type -> class: those of a folder of their own first, then parts of others, each mixed, so that any
    first part of the list is a fair sample."""
    from transformers.models.auto import modeling_auto

    found: dict[str, str] = {}
    for head in HEADS:
        names = f"MODEL_FOR_{head}_MAPPING_NAMES" if head not in ("", "BACKBONE") else "MODEL_MAPPING_NAMES"
        for model_type, classes in getattr(modeling_auto, names, {}).items():
            found.setdefault(model_type, classes if isinstance(classes, str) else classes[0])
    folders = {p.name for p in pathlib.Path(modeling_auto.__file__).parents[1].iterdir()}

    def rank(item):
        return item[0].replace("-", "_") not in folders, hashlib.sha256(item[0].encode()).digest()

    return dict(sorted(found.items(), key=rank))


def in_child(work, limit: int):
    """The result of work() in a process of its own, or what ended it: more than `limit` seconds of processor time (a
    busy machine is no failure), or ten times that of waiting. The limit also ends a child whose parent is gone."""
    receive, send = multiprocessing.Pipe(False)

    def child():
        resource.setrlimit(resource.RLIMIT_CPU, (limit + int(time.process_time()), resource.RLIM_INFINITY))
        try:
            send.send(work())
        except BaseException as error:  # whatever it is, it becomes a line of the table
            last = traceback.extract_tb(error.__traceback__)[-1]
            text = (str(error).strip() or "").splitlines() or [""]
            send.send({"status": "failed", "error": f"{type(error).__name__}: {text[0][:300]} "
                                                    f"({pathlib.Path(last.filename).name}:{last.lineno})"})  # fmt: skip
        send.close()
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    send.close()
    result = {"status": "timeout", "error": f"over {limit} s of processor time"}
    if receive.poll(10 * limit):
        try:
            result = receive.recv()
        except EOFError:
            process.join()
            if process.exitcode != -signal.SIGXCPU:
                result = {"status": "crashed", "error": f"exit code {process.exitcode}"}
    else:
        process.kill()
    process.join()
    return result


def no_cache(model) -> None:
    for module in model.modules():
        for config in (getattr(module, "config", None), getattr(module, "generation_config", None)):
            if hasattr(config, "use_cache"):
                config.use_cache = False


def return_tuple(model) -> None:
    forward = model.forward

    @functools.wraps(forward)
    def flat_forward(*arguments, **keywords):
        return tuple(tracing.tensors_of(forward(*arguments, **keywords)))

    model.forward = flat_forward


def prepared(model_class):
    """The smallest model that runs, with the inputs it runs on: (model, index of the inputs)."""
    errors = collections.Counter()
    for config in shrink.candidates(model_class.config_class):
        try:
            with torch.device("meta"):
                count = sum(p.numel() for p in model_class(config).parameters())
        except Exception:
            count = 0  # some need values while they are made
        try:
            if count > LARGEST:
                raise MemoryError(f"{count / 1e6:.0f} million parameters")
            if model_class.__name__.endswith(("ForCausalLM", "LMHeadModel", "WithLMHead")) and hasattr(config, "is_decoder"):
                config.is_decoder = True
            torch.manual_seed(0)
            model = model_class._from_config(config).eval().float()
        except Exception as error:
            errors[f"making: {type(error).__name__}: {str(error).strip().splitlines()[:1]}"] += 1
            continue
        no_cache(model)
        for index, inputs in enumerate(shrink.input_candidates(model, *SIZES[0])):
            try:
                with torch.no_grad():
                    if tracing.tensors_of(model(**inputs)):
                        tracing.randomize(model)
                        return model, index
            except Exception as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{pathlib.Path(last.filename).name}:{last.lineno}"
                errors[f"running on {list(inputs)}: {type(error).__name__}: {str(error).strip()[:200]} ({where})"] += 1
    raise RuntimeError("no shrunken configuration runs: " + " | ".join(list(errors)[:3]).replace("\n", " "))


def trace_one(name: str, class_name: str, work: pathlib.Path) -> dict:
    import transformers

    model_class = getattr(transformers, class_name)
    model, index = prepared(model_class)

    def inputs_at(size, image):
        torch.manual_seed(1)
        return list(shrink.input_candidates(model, *size, image))[index]

    first = inputs_at(SIZES[0], 0)
    try:
        module = tracing.convert(model, first, False)
    except RuntimeError as error:
        if "consistent type" not in str(error):
            raise
        return_tuple(model)  # TorchScript has no dict of tensors and dicts
        module = tracing.convert(model, first, False)
    note, others = "", []
    for size, images in zip(SIZES[1:], ((32, 0), (16, 0))):
        for image in images:
            inputs = inputs_at(size, image)
            try:
                reason = tracing.differs_at(model, module, inputs)
            except Exception as error:  # of the model itself: it does not take this size
                reason = f"the model: {type(error).__name__}: {str(error).strip()[:80]}"
            if not reason:
                others.append(inputs)
                break
        else:
            note = f"trace not general at {size}: {reason[:150]}"
    module.save(str(work / f"{name}.pt"))
    paths = [work / f"{name}.in.pt"]
    torch.save(first, paths[0])
    for number, inputs in enumerate(others, 2):
        paths.append(work / f"{name}.in{number}.pt")
        torch.save(inputs, paths[-1])
    count = sum(p.numel() for p in model.parameters())
    return {"status": "traced", "class": class_name, "inputs": [str(p) for p in paths], "note": note, "parameters": count}


def lines_of(path: pathlib.Path) -> dict[str, dict]:
    if not path.exists():
        return {}
    return {line["id"]: line for line in map(json.loads, path.read_text().splitlines())}


def trace_all(arguments) -> None:
    import transformers  # noqa: F401  once, for all children

    done = lines_of(arguments.work / "traced.jsonl")
    todo = [(n, c) for n, c in architectures().items() if (n in arguments.only if arguments.only else n not in done)]
    print(f"{len(todo)} architectures", flush=True)
    for number, (name, class_name) in enumerate(todo):
        if number % arguments.of != arguments.part:
            continue
        start = time.time()
        result = in_child(lambda: trace_one(name, class_name, arguments.work), arguments.timeout)
        result |= {"id": name, "class": class_name, "seconds": round(time.time() - start, 1)}
        with open(arguments.work / "traced.jsonl", "a") as out:
            out.write(json.dumps(result) + "\n")
        print(f"{name:32}{result['seconds']:6}  {result['status']}  {result.get('error') or result.get('note')}", flush=True)


def flat(output) -> list[torch.Tensor]:
    """Every tensor and number of a result."""
    if isinstance(output, torch.Tensor):
        return [output]
    if isinstance(output, (bool, int, float)):
        return [torch.tensor(output, dtype=torch.float64 if isinstance(output, float) else None)]
    if output is None or isinstance(output, (str, torch.dtype, torch.device)):
        return []
    return [t for value in (output.values() if isinstance(output, dict) else output) for t in flat(value)]


def as_pairs(tensor: torch.Tensor) -> torch.Tensor:
    """A complex tensor as the exported file has it."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def feed_of(name: str, value) -> dict[str, np.ndarray]:
    """What an argument may be in an ONNX file, by name: a list of numbers is one input or several."""
    if isinstance(value, torch.Tensor):
        return {name: as_pairs(value).numpy(force=True).copy()}
    if isinstance(value, (bool, int, float)):
        return {name: np.array(value)}
    if value is None or isinstance(value, str):
        return {}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    feed = {k: v for key, element in items for k, v in feed_of(f"{name}.{key}", element).items()}
    if isinstance(value, list) and all(isinstance(element, (bool, int, float)) for element in value):
        feed[name] = np.array(value)
    return feed


def compare(line: dict, path: str, tolerance=lambda dtype: (1e-3, 1e-4)) -> dict:
    """Numbers, dtypes and shapes of the exported file at each size. tolerance(dtype) is (relative, absolute), or None
    where numbers mean nothing."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    module = torch.jit.load(line["model"])
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    wanted = {i.name for i in session.get_inputs()}
    for file in line["all_inputs"]:
        inputs = torch.load(file)
        if not isinstance(inputs, dict):
            inputs = dict(zip((a.name for a in module.forward.schema.arguments[1:]), inputs))
        feed = {k: v for n, value in inputs.items() for k, v in feed_of(n, value).items() if k in wanted}
        with torch.no_grad():
            expected = [as_pairs(t) for t in flat(module(**inputs))]
        actual = session.run(None, feed)
        at = pathlib.Path(file).suffixes[-2]
        if len(actual) != len(expected):
            return {"status": "wrong", "error": f"{at}: {len(actual)} outputs instead of {len(expected)}"}
        for output, a, e in zip(session.get_outputs(), actual, expected):
            a = torch.as_tensor(a)
            if a.dtype != e.dtype or a.shape != e.shape:
                what = f"{a.dtype} {list(a.shape)} instead of {e.dtype} {list(e.shape)}"
                return {"status": "wrong", "error": f"{at}: output '{output.name}' is {what}"}
            limits = tolerance(e.dtype)
            a, e = a.double(), e.double()
            if limits and not torch.allclose(a, e, rtol=limits[0], atol=limits[1], equal_nan=True):
                worst = (a - e).abs().nan_to_num(nan=float("inf")).max()
                return {"status": "wrong", "error": f"{at}: output '{output.name}' differs by {worst:.3g}, "
                                                    f"largest {e.abs().max():.3g}"}  # fmt: skip
    return {"status": "ok"}


def export_and_compare(arguments, made: dict[str, dict], compare) -> None:
    """Exports each of `made` (id -> its line, with `inputs`, the first `examples` of which are for the export) that has no
    result yet, and appends what comes of it to results.jsonl."""
    import onnxruntime  # noqa: F401

    work = arguments.work
    done = {} if arguments.again or arguments.only else lines_of(work / "results.jsonl")
    manifest = {
        name: {"id": name, "model": str(work / f"{name}.pt"), "output": str(work / "onnx" / f"{name}.onnx"),
               "inputs": line["inputs"][: line.get("examples", 2)]} for name, line in made.items() if name not in done
    }  # fmt: skip
    (work / "onnx").mkdir(exist_ok=True)
    (work / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in manifest.values()))
    command = [arguments.command, "batch", str(work / "manifest.jsonl"), "--jobs", str(arguments.jobs),
               "--timeout", str(10 * arguments.timeout)]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as batch:
        for text in batch.stdout:
            result = json.loads(text)
            line = manifest[result["id"]] | {"all_inputs": made[result["id"]]["inputs"]}
            if result["status"] == "ok":
                output = pathlib.Path(line["output"])
                result |= in_child(lambda: compare(line, str(output)), arguments.timeout)
            record = {k: result.get(k) for k in ("id", "status", "error", "metrics")}
            with open(work / "results.jsonl", "a") as out:
                out.write(json.dumps(record) + "\n")
            print(f"{record['id']:32}{record['status']:12}{(record['error'] or '')[:300]}", flush=True)


def check_all(arguments) -> None:
    traced = {n: r for n, r in lines_of(arguments.work / "traced.jsonl").items() if r["status"] == "traced"}
    if arguments.only:
        traced = {n: r for n, r in traced.items() if n in arguments.only}
    export_and_compare(arguments, traced, compare)


def cell(text: str | None, most: int) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")[:most]


def page(arguments) -> None:
    traced = lines_of(arguments.work / "traced.jsonl")
    results = lines_of(arguments.work / "results.jsonl")
    right = sum(r["status"] == "ok" for r in results.values())
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in ("transformers", "torch", "onnxruntime"))
    out = [f"""# Architectures of transformers

One class of each architecture of transformers, shrunken, with random weights: traced, exported with the traced example
and a second one of another size, and compared with the TorchScript module in ONNX Runtime at those two sizes and at a
third (relative tolerance 1e-3, absolute 1e-4). Where a trace itself is right at fewer sizes, it is compared at those.

    models/sweep.py trace --work /tmp/sweep
    models/sweep.py check --work /tmp/sweep --command bin/modelexport
    models/sweep.py page --work /tmp/sweep -o models/architectures.md

{versions}. Of {len(results)} exported, {right} are right ({100 * right / max(1, len(results)):.1f} %).
{sum(r['status'] != 'traced' for r in traced.values())} more have no trace.

| architecture | class | sizes | result | |
| --- | --- | --- | --- | --- |"""]
    for name, result in sorted(results.items(), key=lambda item: (item[1]["status"] == "ok", item[0])):
        line = traced[name]
        reason = cell(result["error"] or line.get("note"), 300)
        out.append(f"| {name} | {line['class']} | {len(line['inputs'])} | {result['status']} | {reason} |")
    out += ["", "## Without a trace", "", "| architecture | class | reason |", "| --- | --- | --- |"]
    for name, line in sorted(traced.items()):
        if line["status"] != "traced":
            out.append(f"| {name} | {line['class']} | {cell(line['error'], 200)} |")
    text = "\n".join(out) + "\n"
    arguments.output.write_text(text) if arguments.output else print(text, end="")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("trace", "check", "page"))
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for all files")
    parser.add_argument("--command", default="modelexport", help="the exporter")
    parser.add_argument("--only", nargs="*", help="these architectures, again")
    parser.add_argument("--again", action="store_true", help="check: all of them again")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--part", type=int, default=0, help="trace: which of --of equal parts")
    parser.add_argument("--of", type=int, default=1)
    parser.add_argument("--timeout", type=int, default=120, help="seconds of processor time for each architecture")
    parser.add_argument("-o", "--output", type=pathlib.Path, help="page: the file to write")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    {"trace": trace_all, "check": check_all, "page": page}[arguments.what](arguments)


if __name__ == "__main__":
    main()
