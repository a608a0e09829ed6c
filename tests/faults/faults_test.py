"""Bad input of every kind: one clear message, the right exit code, and no file left behind.

    faults_test.py MODELEXPORT FOLDER
"""

import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import unittest
import zipfile

import torch

COMMAND = ""
FOLDER = pathlib.Path()

USAGE, UNREADABLE, UNSUPPORTED, MISMATCH, UNWRITABLE = 1, 2, 3, 4, 5


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(10, 8)
        self.linear = torch.nn.Linear(8, 4)

    def forward(self, ids, mask):
        return self.linear(self.embedding(ids) * mask.unsqueeze(-1))


class Large(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2000, 2000)

    def forward(self, x):
        return self.linear(x)


class Raises(torch.nn.Module):
    def forward(self, x):
        if x.size(0) > 2:
            raise ValueError("at most two rows")
        return x


class Unsupported(torch.nn.Module):
    def forward(self, x):
        q, r = torch.linalg.ldl_factor_ex(x)[:2]
        return q + r + torch.linalg.ldl_factor_ex(x + 1)[0]


class Observes(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for name, value in (("on", 1), ("low", 0.0), ("high", 0.0), ("scale", 1.0), ("zero_point", 0)):
            self.register_buffer(name, torch.tensor([value]))
        self.zero_point = self.zero_point.int()

    def forward(self, x):
        return torch.fused_moving_avg_obs_fake_quant(
            x, self.on, self.on, self.low, self.high, self.scale, self.zero_point, 0.01, -128, 127, 0
        )


class TwoScales(torch.nn.Module):
    def forward(self, x):
        if bool(x.sum() > 0):
            q = torch.quantize_per_tensor(x, 0.1, 0, torch.quint8)
        else:
            q = torch.quantize_per_tensor(x, 0.2, 0, torch.quint8)
        return q.dequantize()


class Dequantizes(torch.nn.Module):
    def forward(self, x):
        return x.dequantize()


NET_TAKES = "forward(Tensor ids, Tensor mask) -> Tensor"


def make_checkpoints() -> None:
    torch.manual_seed(0)
    net = Net().eval()
    inputs = (torch.zeros(2, 5, dtype=torch.long), torch.ones(2, 5))
    torch.jit.trace(net, inputs).save(FOLDER / "net.pt")
    torch.jit.trace(Large(), torch.ones(1, 2000)).save(FOLDER / "large.pt")
    torch.jit.script(Raises()).save(FOLDER / "raises.pt")
    torch.jit.script(Unsupported()).save(FOLDER / "unsupported.pt")
    torch.jit.script(Observes()).save(FOLDER / "observes.pt")
    torch.jit.script(TwoScales()).save(FOLDER / "two_scales.pt")
    torch.jit.script(Dequantizes()).save(FOLDER / "dequantizes.pt")
    torch.save(torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.quint8), FOLDER / "quantized.pt")
    torch.save(net.state_dict(), FOLDER / "state_dict.pt")
    torch.save(net, FOLDER / "eager.pt")
    torch.save(net, FOLDER / "old.pt", _use_new_zipfile_serialization=False)
    program = torch.export.export(net, inputs)
    torch.export.save(program, FOLDER / "program.pt2")
    with zipfile.ZipFile(FOLDER / "other.zip", "w") as archive:
        archive.writestr("a/readme.txt", "hello")
    (FOLDER / "empty.pt").touch()
    (FOLDER / "text.pt").write_text("no checkpoint")
    whole = (FOLDER / "net.pt").read_bytes()
    (FOLDER / "cut.pt").write_bytes(whole[: len(whole) // 2])


def flip_bit_in(record: str, name: str) -> None:
    """A copy of net.pt with one bit of a record changed."""
    data = bytearray((FOLDER / "net.pt").read_bytes())
    with zipfile.ZipFile(FOLDER / "net.pt") as archive:
        info = next(i for i in archive.infolist() if i.filename.endswith("/" + record))
    begin = info.header_offset + 30
    begin += int.from_bytes(data[info.header_offset + 26 : info.header_offset + 28], "little")
    begin += int.from_bytes(data[info.header_offset + 28 : info.header_offset + 30], "little")
    data[begin + info.file_size // 2] ^= 0x10
    (FOLDER / name).write_bytes(data)


class Faults(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.output = FOLDER / "out"
        shutil.rmtree(self.output, ignore_errors=True)
        self.output.mkdir()

    def run_command(self, *arguments, **options) -> subprocess.CompletedProcess:
        return subprocess.run(
            [COMMAND, *map(str, arguments)], capture_output=True, text=True, cwd=FOLDER, timeout=300, **options
        )

    def check(self, status: int, message: str, *arguments, **options) -> None:
        """The command ends with `status`, says "modelexport: error: MESSAGE" and leaves nothing behind."""
        result = self.run_command(*arguments, **options)
        self.assertEqual(result.stderr.removeprefix("modelexport: error: "), message + "\n")
        self.assertEqual((result.returncode, result.stdout), (status, ""))
        self.assertEqual(os.listdir(self.output), [])

    def check_export(self, status: int, message: str, model: str, *arguments, **options) -> None:
        self.check(status, message, "export", model, "-o", "out/model.onnx", *arguments, **options)

    # ---- quantised modules ------------------------------------------------------------------------------

    def test_observer_is_on(self):
        result = self.run_command("export", "observes.pt", "-o", "out/model.onnx", "--input", "x:float32[2,3]")
        self.assertRegex(
            result.stderr,
            r"\Amodelexport: error: aten::fused_moving_avg_obs_fake_quant in the root module \(Observes\), "
            r"faults_test.py:\d+: its observer is on, so that every call changes the scale; before saving the "
            r"module, call module.apply\(torch.ao.quantization.disable_observer\)\n\Z",
        )
        self.assertEqual(result.returncode, UNSUPPORTED)

    def test_two_scales(self):
        self.check_export(
            UNSUPPORTED,
            "a quantised tensor whose scale depends on the path that the module takes",
            "two_scales.pt",
            "--input",
            "x:float32[2,3]",
        )

    def test_quantized_input(self):
        self.check_export(
            UNSUPPORTED,
            "the input x is a quantised tensor, which ONNX has no type for; give it as real numbers and quantise it "
            "in the module",
            "dequantizes.pt",
            "--inputs",
            "quantized.pt",
        )

    # ---- checkpoints that are none ----------------------------------------------------------------------

    def test_missing_file(self):
        self.check_export(
            UNREADABLE,
            "'org/some-bert' is no file; models/trace.py NAME -o some-bert.pt makes a TorchScript checkpoint of a "
            "transformers model",
            "org/some-bert",
        )

    def test_empty_file(self):
        self.check_export(UNREADABLE, "empty.pt: the file is empty", "empty.pt")

    def test_no_zip(self):
        what = "not a zip archive, so not a TorchScript checkpoint (torch.jit.save writes one)"
        self.check_export(UNREADABLE, f"text.pt: {what}", "text.pt")
        self.check_export(UNREADABLE, f"old.pt: {what}", "old.pt")

    def test_other_zip(self):
        self.check_export(
            UNREADABLE,
            "other.zip: this zip archive is not a TorchScript checkpoint "
            "(no constants.pkl and data.pkl in it)",
            "other.zip",
        )

    def test_truncated(self):
        self.check_export(
            UNREADABLE, "cut.pt: the zip archive is damaged or cut short; copy or save it again", "cut.pt"
        )

    def test_flipped_bits(self):
        for record in ("data.pkl", "constants.pkl", "code/__torch__.py", "data/0"):
            with self.subTest(record=record):
                flip_bit_in(record, "flipped.pt")
                result = self.run_command("export", "flipped.pt", "-o", "out/model.onnx")
                self.assertEqual(
                    result.stderr,
                    f"modelexport: error: flipped.pt: damaged: the checksum of 'net/{record}' in it is wrong; copy or "
                    "save it again\n",
                )
                self.assertEqual((result.returncode, result.stdout), (UNREADABLE, ""))
                self.assertEqual(os.listdir(self.output), [])

    def test_saved_by_torch_save(self):
        what = (
            "this was written by torch.save (a state_dict or a pickled module), not by torch.jit.save; build the "
            "module in Python, load this file into it, and save it as TorchScript: "
            "torch.jit.trace(module.eval(), example).save('model.pt')"
        )
        self.check_export(UNREADABLE, f"state_dict.pt: {what}", "state_dict.pt")
        self.check_export(UNREADABLE, f"eager.pt: {what}", "eager.pt")

    def test_exported_program(self):
        self.check_export(
            UNREADABLE,
            "program.pt2: this is a torch.export archive (.pt2), not TorchScript; trace or script the module "
            "instead: torch.jit.trace(module, example).save('model.pt')",
            "program.pt2",
        )

    # ---- inputs that the module does not take -----------------------------------------------------------

    def test_no_inputs(self):
        self.check_export(
            USAGE,
            "the checkpoint records no inputs, so they must be given, as --inputs FILE.pt or --input "
            "'NAME:DTYPE[SIZE,...]'; the module takes forward(Tensor x) -> Tensor",
            "raises.pt",
        )

    def test_number_of_inputs(self):
        torch.save((torch.zeros(2, 5, dtype=torch.long),) * 3, FOLDER / "three.pt")
        self.check_export(
            USAGE,
            f"three.pt holds 3 inputs, but 2 are expected; the module takes {NET_TAKES}",
            "net.pt",
            "--inputs",
            "three.pt",
        )
        torch.save({"ids": torch.zeros(2, 5, dtype=torch.long)}, FOLDER / "one.pt")
        self.check_export(
            USAGE,
            f"input 'mask' is missing in one.pt: expected Tensor; it takes {NET_TAKES}",
            "net.pt",
            "--inputs",
            "one.pt",
        )
        torch.save({"id": torch.zeros(2, 5), "ids": torch.zeros(2, 5), "mask": torch.zeros(2, 5)}, FOLDER / "id.pt")
        self.check_export(
            USAGE,
            f"input 'id' in id.pt is none that the module takes; it takes {NET_TAKES}",
            "net.pt",
            "--inputs",
            "id.pt",
        )

    def test_dtype_of_inputs(self):
        torch.save((torch.ones(2, 5), torch.ones(2, 5)), FOLDER / "floats.pt")
        result = self.run_command("export", "net.pt", "-o", "out/model.onnx", "--inputs", "floats.pt")
        self.assertRegex(
            result.stderr,
            r"\Amodelexport: error: the module raises in embedding \(torch\.nn\.modules\.sparse\.Embedding\), "
            r"functional\.py:\d+: aten::embedding: Expected tensor for argument #1 'indices' to have one of the "
            r"following scalar types: Long, Int; but got CPUFloatType instead .*\n"
            r"  it was given ids float32 \[2, 5\], mask float32 \[2, 5\]\n"
            rf"  it takes {re.escape(NET_TAKES)}\n\Z",
        )
        self.assertEqual(result.returncode, USAGE)
        self.assertEqual(os.listdir(self.output), [])

    def test_shape_of_inputs(self):
        torch.save((torch.zeros(2, 5, dtype=torch.long), torch.ones(2, 4)), FOLDER / "shapes.pt")
        result = self.run_command("export", "net.pt", "-o", "out/model.onnx", "--inputs", "shapes.pt")
        self.assertRegex(
            result.stderr,
            r"\Amodelexport: error: the module raises in the root module \(Net\), faults_test\.py:\d+: aten::mul: "
            r"The size of tensor a \(5\) must match the size of tensor b \(4\) at non-singleton dimension 1\n"
            r"  it was given ids int64 \[2, 5\], mask float32 \[2, 4\]\n"
            rf"  it takes {re.escape(NET_TAKES)}\n\Z",
        )
        self.assertEqual(result.returncode, USAGE)
        self.assertEqual(os.listdir(self.output), [])

    def test_module_raises(self):
        result = self.run_command("export", "raises.pt", "-o", "out/model.onnx", "--input", "x:float32[3]")
        self.assertRegex(
            result.stderr,
            r"\Amodelexport: error: the module raises in the root module \(Raises\), faults_test\.py:\d+: "
            r".*at most two rows\n"
            r"  it was given x float32 \[3\]\n"
            r"  it takes forward\(Tensor x\) -> Tensor\n\Z",
        )
        self.assertEqual(result.returncode, USAGE)
        self.assertEqual(os.listdir(self.output), [])

    def test_inputs_not_readable(self):
        wanted = "expected a torch.save'd tensor, tuple, list or dict of tensors (.pt), or NumPy's .npz or .npy"
        for name, what in {
            "none.pt": "cannot be opened: No such file or directory",
            "empty.pt": f"the file is empty; {wanted}",
            "text.pt": f"unknown format; {wanted}",
            "old.pt": "it was saved in the format before PyTorch 1.6; save it again with torch.save",
            "net.pt": f"it is a TorchScript module, not inputs; {wanted}",
        }.items():
            with self.subTest(name):
                self.check_export(UNREADABLE, f"inputs '{name}': {what}", "net.pt", "--inputs", name)
        result = self.run_command("export", "net.pt", "-o", "out/model.onnx", "--inputs", "eager.pt")
        self.assertRegex(
            result.stderr,
            rf"\Amodelexport: error: inputs 'eager\.pt': it cannot be read \(.*\); {re.escape(wanted)}\n\Z",
        )
        self.assertEqual(result.returncode, UNREADABLE)

    def test_input_specification(self):
        self.check_export(
            USAGE,
            "input specification 'ids:int46[2,5]': 'int46' is no dtype (float32, float16, bfloat16, float64, int64, "
            "int32, int16, int8, uint8, bool, ...); the form is NAME:DTYPE[DIM,...], for example "
            "input_ids:int64[batch=2,seq=16]=range(0,1000)",
            "net.pt",
            "--input",
            "ids:int46[2,5]",
        )

    # ---- operators ---------------------------------------------------------------------------------------------

    def test_unsupported(self):
        result = self.run_command("export", "unsupported.pt", "-o", "out/model.onnx", "--input", "x:float32[3,3]")
        self.assertRegex(
            result.stderr,
            r"\Amodelexport: error: these operators cannot be exported:\n"
            r"  aten::linalg_ldl_factor_ex \(2 times\): no lowering\n"
            r"    in the model \(Unsupported\), faults_test\.py:\d+ in forward\n"
            r"    in the model \(Unsupported\), faults_test\.py:\d+ in forward\n"
            r"`modelexport ops` lists what is supported; --ops maps other operators to ONNX, and --on-unsupported "
            r"exports the rest\.\n\Z",
        )
        self.assertEqual(result.returncode, UNSUPPORTED)
        self.assertEqual(os.listdir(self.output), [])

    # ---- output that cannot be written ------------------------------------------------------------------------------

    def test_no_output_folder(self):
        self.check(
            UNWRITABLE,
            "cannot write out/none/model.onnx: No such file or directory; create the folder first",
            *("export", "net.pt", "-o", "out/none/model.onnx"),
        )

    @unittest.skipIf(os.geteuid() == 0 and not os.path.exists("/proc/self"), "needs /proc as root")
    def test_output_folder_not_writable(self):
        if os.geteuid() == 0:  # whom no permission stops
            target, cause = "/proc/model.onnx", "No such file or directory; create the folder first"
        else:
            target, cause = "out/locked/model.onnx", "Permission denied; write somewhere else"
            (self.output / "locked").mkdir(mode=0o500)
            self.addCleanup(os.rmdir, self.output / "locked")
        result = self.run_command("export", "net.pt", "-o", target)
        self.assertEqual(result.stderr, f"modelexport: error: cannot write {target}: {cause}\n")
        self.assertEqual(result.returncode, UNWRITABLE)

    def test_full_disk(self):
        """A limit on file sizes ends writes as a full disk does, with another reason."""

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writes fail instead
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

        for weights, file in {"external": "model.onnx.data", "embed": "model.onnx"}.items():
            with self.subTest(weights):
                self.check_export(
                    UNWRITABLE,
                    f"cannot write out/{file}: File too large; free some space there, or write somewhere else",
                    "large.pt",
                    *("--weights", weights),
                    preexec_fn=limit,
                )

    def test_an_older_file_survives(self):
        (self.output / "model.onnx").write_text("older")
        result = self.run_command("export", "raises.pt", "-o", "out/model.onnx", "--input", "x:float32[3]")
        self.assertEqual(result.returncode, USAGE)
        self.assertEqual((self.output / "model.onnx").read_text(), "older")
        self.assertEqual(os.listdir(self.output), ["model.onnx"])

    def test_interrupted(self):
        """Whenever Ctrl-C comes: no file, or whole ones."""
        whole = {"model.onnx", "model.onnx.data", "model.hierarchy.json"}
        for delay in (0.2, 0.4, 0.6, 0.8, 1.0):
            process = subprocess.Popen(
                [COMMAND, "export", "large.pt", "-o", "out/model.onnx"],
                cwd=FOLDER,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
            self.assertIn(process.returncode, (0, -signal.SIGINT), errors)
            left = set(os.listdir(self.output))
            self.assertLessEqual(left, whole)
            if "model.onnx" in left:
                self.assertIn("model.onnx.data", left)
            for file in left:
                (self.output / file).unlink()

    # ---- command line and configuration ---------------------------------------------------------------------------------

    def test_command_line(self):
        self.check(USAGE, "'exprot' is no command; see modelexport --help", "exprot")
        self.check(USAGE, "a checkpoint is expected: modelexport COMMAND MODEL.pt", "export")
        self.check_export(
            USAGE,
            "--opset: expected an integer from 17 to 23, but got '24'; see modelexport export --help",
            "net.pt",
            "--opset",
            "24",
        )

    def test_configuration(self):
        (FOLDER / "bad.yaml").write_text("weights: embed\nopsett: 18\n")
        self.check_export(
            USAGE,
            "bad.yaml:2: unknown key 'opsett'; known are input, inputs, dynamic, state, seed, load_library, ops, "
            "load_lowerings, on_unsupported, module, opset, functions, weights, "
            "verify, runtime, metrics, json, quiet, extraction, validation, output",
            "net.pt",
            "--config",
            "bad.yaml",
        )

    def test_manifest(self):
        (FOLDER / "jobs.jsonl").write_text('{"id": "a", "model": "net.pt"}\nnot json\n')
        self.check(
            USAGE,
            'jobs.jsonl:2: expected a JSON object, such as {"id": "a", "model": "a.pt", "output": "a.onnx"}',
            *("batch", "jobs.jsonl"),
        )


if __name__ == "__main__":
    COMMAND, folder = sys.argv[1:3]
    FOLDER = pathlib.Path(folder).resolve() / "faults"
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    make_checkpoints()
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
