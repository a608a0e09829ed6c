"""Custom operators end to end: demo_ops.cpp, compiled as a user compiles it, and every way to export it.

    custom_ops_test.py MODELEXPORT FOLDER DEMO_OPS DEMO_LOWERINGS
"""

import json
import pathlib
import shutil
import subprocess
import sys
import unittest

import onnx
import torch

import checks

COMMAND = OPS = LOWERINGS = ""
FOLDER = pathlib.Path()
OPS_FILE = pathlib.Path(__file__).with_name("demo_ops.yaml")
USAGE, UNREADABLE, UNSUPPORTED = 1, 2, 3
INPUT = ("--input", "x:float32[n=2,3]", "--input", "other:float32[n,3]")


class Scale(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.shift = torch.nn.Parameter(torch.randn(3))

    def forward(self, x):
        return torch.relu(torch.ops.demo.scale(x, 2.5, self.shift))


class Net(torch.nn.Module):
    """Operators with optional, list and tuple values, and an output that needs none of them."""

    def __init__(self):
        super().__init__()
        self.scale = Scale()
        self.linear = torch.nn.Linear(3, 3)

    def forward(self, x, other):
        plain = self.linear(x)
        joined = torch.ops.demo.join([self.scale(x), other, plain], 1)
        total, count = torch.ops.demo.sums(joined, [0, 1])
        return {"plain": plain, "total": total / count, "joined": joined}


class WithObject(torch.nn.Module):
    def __init__(self, symbolic: bool):
        super().__init__()
        self.gain = torch.classes.demo.Gain(3.0)
        self.symbolic = symbolic

    def forward(self, x):
        factor = self.gain.factor()
        if self.symbolic:
            return self.gain.apply(x) + factor
        return x * factor


class Detect(torch.nn.Module):
    def forward(self, image, boxes, scores):
        kept = torch.ops.torchvision.nms(boxes, scores, 0.5)
        rois = torch.cat([torch.zeros_like(boxes[:, :1]), boxes], 1)[kept]
        return kept, torch.ops.torchvision.roi_align(image, rois, 0.5, 2, 3, 2, True)


class Padded(torch.nn.Module):
    def forward(self, x, other):
        return torch._C._nn.pad_sequence([x, other], True, 0.5)


def make_checkpoints() -> None:
    torch.ops.load_library(OPS)
    torch.manual_seed(0)
    torch.jit.script(Scale()).save(FOLDER / "scale.pt")
    torch.jit.script(Net()).save(FOLDER / "net.pt")
    torch.jit.script(WithObject(False)).save(FOLDER / "known_object.pt")
    torch.jit.script(WithObject(True)).save(FOLDER / "object.pt")
    torch.jit.script(Padded()).save(FOLDER / "padded.pt")
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define(
        "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
        "int sampling_ratio, bool aligned) -> Tensor"
    )
    torch.jit.script(Detect()).save(FOLDER / "detect.pt")


def attributes(node: onnx.NodeProto) -> dict:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


class CustomOps(unittest.TestCase):
    maxDiff = None

    def run_command(self, *arguments) -> subprocess.CompletedProcess:
        return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, cwd=FOLDER)

    def export(self, model: str, *arguments, status: int = 0) -> subprocess.CompletedProcess:
        self.output = FOLDER / "out.onnx"
        self.output.unlink(missing_ok=True)
        result = self.run_command("export", model, "-o", self.output, "--load-library", OPS, *arguments)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result

    def exported(self) -> onnx.ModelProto:
        checks.check_onnx(self.output)
        return onnx.load(str(self.output))

    def ops_file(self, text: str) -> str:
        (FOLDER / "ops.yaml").write_text(text)
        return "ops.yaml"

    def check_ops_error(self, message: str, text: str) -> None:
        path = self.ops_file(text)
        result = self.export("scale.pt", "--input", "x:float32[2,3]", "--ops", path, status=USAGE)
        self.assertEqual(result.stderr, f"modelexport: error: {message}\n")

    # ---- libraries ---------------------------------------------------------------------------------------------

    def test_without_library(self):
        result = self.run_command("export", "scale.pt")
        self.assertEqual(
            result.stderr,
            "modelexport: error: scale.pt: it uses the custom operator demo::scale; load the library that has it "
            "with --load-library LIB.so\n",
        )
        self.assertEqual(result.returncode, UNREADABLE)
        result = self.run_command("export", "object.pt")
        self.assertEqual(
            result.stderr,
            "modelexport: error: object.pt: it uses the custom class demo.Gain; load the library that has it with "
            "--load-library LIB.so\n",
        )
        self.assertEqual(result.returncode, UNREADABLE)

    def test_every_command_loads_libraries(self):
        file = FOLDER / "every.onnx"
        options = ("--load-library", OPS, "--input", "x:float32[2,3]")
        checks.run(COMMAND, "export", FOLDER / "scale.pt", "-o", file, "--load-lowerings", LOWERINGS, *options)
        checks.run(COMMAND, "verify", file, "--model", FOLDER / "scale.pt", *options)
        analysis = checks.run(COMMAND, "analyze", FOLDER / "scale.pt", *options).stdout
        self.assertIn("1 demo::scale", analysis)
        torch.save(torch.ones(2, 3), FOLDER / "x.pt")
        model = ("--model", FOLDER / "scale.pt", "--load-library", OPS, "--inputs", FOLDER / "x.pt")
        checks.run(COMMAND, "validate", file, *model)

    def test_unsupported(self):
        result = self.export("net.pt", *INPUT, status=UNSUPPORTED)
        self.assertRegex(
            result.stderr,
            r"\Amodelexport: error: these operators cannot be exported:\n"
            r"  demo::scale \(once\): no lowering\n"
            r"    in scale \(Scale\), custom_ops_test\.py:\d+ in forward\n"
            r"  demo::join \(once\): no lowering\n"
            r"    in the model \(Net\), custom_ops_test\.py:\d+ in forward\n"
            r"  demo::sums \(once\): no lowering\n"
            r"    in the model \(Net\), custom_ops_test\.py:\d+ in forward\n"
            r"`modelexport ops` lists what is supported; --ops maps other operators to ONNX, and --on-unsupported "
            r"exports the rest\.\n\Z",
        )
        self.assertFalse(self.output.exists())

    # ---- lowerings in a library --------------------------------------------------------------------------------

    def test_lowerings(self):
        self.export("net.pt", *INPUT, "--load-lowerings", LOWERINGS, "--verify")
        model = self.exported()
        checks.check_tags(model, torch.jit.load(FOLDER / "net.pt"))
        self.assertEqual([i.domain for i in model.opset_import], [""])
        names = {node.op_type: node.name for node in model.graph.node}
        self.assertEqual(names["ReduceSum"], "/ReduceSum")
        self.assertIn("/scale/Mul", [node.name for node in model.graph.node])

    def test_lowerings_errors(self):
        for path, message in {
            "none.so": "cannot load the lowerings none.so: ./none.so: cannot open shared object file: No such file or "
            "directory",
            OPS: f"{OPS} has no lowerings: it lacks MODELEXPORT_LOWERINGS(rows), see exporter/lowering/plugin.h",
        }.items():
            result = self.export("net.pt", *INPUT, "--load-lowerings", path, status=USAGE)
            self.assertEqual(result.stderr, f"modelexport: error: {message}\n")

    # ---- mapped in a file --------------------------------------------------------------------------------------

    def test_function(self):
        self.export("scale.pt", "--input", "x:float32[n=2,3]", "--ops", OPS_FILE, "--verify")
        model = self.exported()
        self.assertEqual([(f.domain, f.name) for f in model.functions], [("demo", "scale")])
        node = model.graph.node[0]
        self.assertEqual((node.domain, node.op_type, list(node.input)), ("demo", "scale", ["x", "shift"]))
        self.assertEqual(attributes(node), {"factor": 2.5})
        self.assertEqual([n.op_type for n in model.graph.node], ["scale", "Relu"])

    def test_custom_domain(self):
        result = self.export("net.pt", *INPUT, "--ops", OPS_FILE, "--json")
        self.assertNotIn("unsupported", json.loads(result.stdout))
        model = self.exported()
        checks.check_tags(model, torch.jit.load(FOLDER / "net.pt"))
        self.assertEqual({i.domain: i.version for i in model.opset_import}, {"": 20, "demo": 2})
        nodes = {node.op_type: node for node in model.graph.node}
        self.assertEqual(nodes["Join"].input[1], "other")
        self.assertEqual(attributes(nodes["Join"]), {"axis": 1})
        self.assertEqual(len(nodes["Sums"].output), 2)
        self.assertEqual(
            attributes(nodes["Sums"]), {"over": [0, 1], "exact": 1, "mode": b"fast", "limits": [0.5, 2.0]}
        )

    def test_mapped_instead_of_taken_apart(self):
        self.export("padded.pt", *INPUT)
        self.assertEqual({n.domain for n in self.exported().graph.node}, {""})
        mapped = self.ops_file("aten::pad_sequence: {domain: demo, op_type: PadSequence}")
        self.export("padded.pt", *INPUT, "--ops", mapped)
        self.assertEqual([(n.domain, n.op_type) for n in self.exported().graph.node], [("demo", "PadSequence")])

    def test_compare(self):
        self.export("net.pt", *INPUT, "--ops", OPS_FILE)
        compare = ("compare", "net.pt", self.output, "--load-library", OPS, *INPUT)
        result = self.run_command(*compare, "--ops", OPS_FILE)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        self.assertNotIn("cannot be exported", result.stdout)
        self.assertIn("cannot be exported: these operators", self.run_command(*compare).stdout)
        result = self.run_command(*compare, "--ops", "none.yaml")
        self.assertEqual(result.returncode, USAGE)

    def test_file_errors(self):
        self.check_ops_error(
            "ops.yaml:1: unknown key 'name'; known are domain, op_type, version, function, attributes, inputs, "
            "values, ignore",
            "demo::scale: {name: Scale}",
        )
        self.check_ops_error("ops.yaml:2: 'demo::scale': needs a domain (or a function)", "\ndemo::scale: {version: 1}")
        self.check_ops_error("ops.yaml:1: 'scale' is no operator; write NAMESPACE::NAME", "scale: {domain: demo}")
        self.check_ops_error("ops.yaml:1: expected an integer from 1, but found a",
                             "demo::scale: {domain: demo, op_type: S, version: a}")  # fmt: skip
        self.check_ops_error(
            "ops.yaml:2: demo::scale has no argument 'y': "
            "demo::scale(Tensor x, float factor, Tensor? shift=None) -> Tensor",
            "# a comment\ndemo::scale: {domain: demo, op_type: S, inputs: [y]}",
        )
        self.check_ops_error(
            "ops.yaml:1: argument 'factor' of demo::scale is in none of inputs, attributes and ignore: "
            "demo::scale(Tensor x, float factor, Tensor? shift=None) -> Tensor",
            "demo::scale: {domain: demo, op_type: S, attributes: []}",
        )
        self.check_ops_error(
            "ops.yaml:2: the ONNX function: it has no domain: begin it with <domain: \"...\">",
            "demo::scale:\n  function: 'f (x) => (y) { y = Relu(x) }'",
        )
        self.check_ops_error("ops.yaml:3: end of sequence flow not found", "demo::scale:\n  inputs: [x\n")

    # ---- what is left without ----------------------------------------------------------------------------------

    def test_skip(self):
        result = self.export("net.pt", *INPUT, "--on-unsupported", "skip", "--verify", "--json", status=UNSUPPORTED)
        self.assertRegex(
            result.stderr,
            r"\Amodelexport: warning: the file is not the whole module \(exit code 3\)\n"
            r"left out, with all that depends on them:\n"
            r"  demo::scale \(once\): no lowering\n"
            r"    in scale \(Scale\), custom_ops_test\.py:\d+ in forward\n"
            r"  demo::join \(once\): no lowering\n"
            r"    in the model \(Net\), custom_ops_test\.py:\d+ in forward\n"
            r"  demo::sums \(once\): no lowering\n"
            r"    in the model \(Net\), custom_ops_test\.py:\d+ in forward\n"
            r"outputs that are missing: total, joined\n\Z",
        )
        report = json.loads(result.stdout)
        operators = [op["operator"] for op in report["unsupported"]]
        self.assertEqual(operators, ["demo::scale", "demo::join", "demo::sums"])
        self.assertEqual(report["missing_outputs"], ["total", "joined"])
        self.assertTrue(all(output["matches"] for run in report["numbers"] for output in run["outputs"]))
        model = self.exported()
        self.assertEqual([o.name for o in model.graph.output], ["plain"])
        self.assertEqual([n.op_type for n in model.graph.node], ["Gemm"])
        hierarchy = json.loads((FOLDER / "out.hierarchy.json").read_text())
        self.assertFalse(hierarchy["unsupported"][0]["approximated"])
        self.assertEqual(hierarchy["missing_outputs"], ["total", "joined"])
        checks.run(COMMAND, "verify", self.output, "--model", FOLDER / "net.pt", "--load-library", OPS, *INPUT)

    def test_skip_in_a_folder(self):
        folder = FOLDER / "extracted"
        result = self.run_command(
            "extract", "net.pt", "-o", folder, "--load-library", OPS, *INPUT, "--on-unsupported", "skip"
        )
        self.assertEqual(result.returncode, UNSUPPORTED, result.stdout + result.stderr)
        self.assertIn("outputs that are missing: total, joined\n", result.stderr)
        self.assertIn("outputs that are missing: total, joined", (folder / "report.html").read_text())
        hierarchy = json.loads((folder / "hierarchy.json").read_text())
        self.assertEqual(hierarchy["missing_outputs"], ["total", "joined"])

    def test_skip_leaves_nothing(self):
        result = self.export("scale.pt", "--input", "x:float32[2,3]", "--on-unsupported", "skip", status=UNSUPPORTED)
        self.assertIn("error: no output is left: these operators cannot be exported:", result.stderr)
        self.assertFalse(self.output.exists())

    def test_approximate(self):
        result = self.export("net.pt", *INPUT, "--on-unsupported", "approximate", "--verify", status=UNSUPPORTED)
        self.assertIn("nodes that stand for operators, and cannot be run:\n  demo::scale (once)", result.stderr)
        self.assertIn("numbers were not compared\n", result.stderr)
        model = self.exported()
        checks.check_tags(model, torch.jit.load(FOLDER / "net.pt"))
        checks.check_weights(self.output, torch.jit.load(FOLDER / "net.pt"))
        self.assertEqual([o.name for o in model.graph.output], ["plain", "total", "joined"])
        nodes = {node.op_type: node for node in model.graph.node}
        self.assertEqual(
            attributes(nodes["scale"]),
            {
                "schema": b"demo::scale(Tensor x, float factor, Tensor? shift=None) -> Tensor",
                "factor": 2.5,
                "inputs": [b"x", b"shift"],
            },
        )
        self.assertEqual(attributes(nodes["join"])["inputs"], [b"parts.0", b"parts.1", b"parts.2"])
        self.assertEqual({node.domain for node in model.graph.node}, {"", "pkg.demo"})
        hierarchy = json.loads((FOLDER / "out.hierarchy.json").read_text())
        self.assertEqual([op["approximated"] for op in hierarchy["unsupported"]], [True] * 3)

    def test_batch(self):
        job = {"id": "a", "model": "net.pt", "output": "a.onnx", "load_library": OPS, "on_unsupported": "skip",
               "input": list(INPUT[1::2])}  # fmt: skip
        (FOLDER / "jobs.jsonl").write_text(json.dumps(job))
        result = self.run_command("batch", "jobs.jsonl")
        line = json.loads(result.stdout)
        self.assertEqual((line["status"], line["exit_code"], line["output"]), ("unsupported", 3, "a.onnx"))
        self.assertEqual(line["missing_outputs"], ["total", "joined"])
        self.assertEqual(result.returncode, UNSUPPORTED)

    # ---- custom classes ----------------------------------------------------------------------------------------

    def test_known_object(self):
        self.export("known_object.pt", "--input", "x:float32[n=2,3]", "--verify")
        self.assertEqual([n.op_type for n in self.exported().graph.node], ["Mul"])

    def test_object_called_with_inputs(self):
        options = ("--input", "x:float32[n=2,3]")
        result = self.export("object.pt", *options, status=UNSUPPORTED)
        self.assertRegex(
            result.stderr,
            r"  demo::Gain\.apply \(once\): no lowering\n"
            r"    in the model \(WithObject\), custom_ops_test\.py:\d+ in forward\n",
        )
        mapped = self.ops_file("demo::Gain: {domain: demo, op_type: Gain}")
        self.export("object.pt", *options, "--ops", mapped)
        self.assertEqual([n.op_type for n in self.exported().graph.node], ["Gain", "Add"])

    # ---- torchvision -------------------------------------------------------------------------------------------

    def test_torchvision(self):
        inputs = ("--input", "image:float32[1,2,16,16]", "--input", "boxes:float32[n=6,4]", "--input", "scores:float32[n]")
        self.export("detect.pt", *inputs, "--verify")
        self.assertIn("NonMaxSuppression", [n.op_type for n in self.exported().graph.node])


if __name__ == "__main__":
    COMMAND, folder, OPS, LOWERINGS = sys.argv[1:5]
    FOLDER = pathlib.Path(folder).resolve() / "checkpoints"
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    make_checkpoints()
    unittest.main(argv=sys.argv[:1] + sys.argv[5:], verbosity=2)
