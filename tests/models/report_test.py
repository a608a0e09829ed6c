"""report.html in a real browser: what it shows of an export, and of a comparison. Skips where there is no Chromium.

    report_test.py MODELEXPORT FOLDER
"""

import html
import json
import pathlib
import re
import shutil
import sys

import browser
import checkpoints
import checks
import torch


class Counts(torch.nn.Module):
    """One of its outputs cannot be exported: ONNX has no Poisson distribution."""

    def forward(self, x):
        rates = x.abs()
        return rates, torch.poisson(rates)


def shown(page: pathlib.Path, address: str = "") -> str:
    """The text of the page as it stands once its scripts have run."""
    dom = browser.dom(page.resolve().as_uri() + address, milliseconds=4000)
    dom = re.sub(r"<script.*?</script>|<style>.*?</style>", "", dom, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", dom)) + "\n" + dom


def main(command: str, folder: str) -> None:
    browser.path()
    path = checkpoints.traced("google/bert_uncased_L-2_H-128_A-2", pathlib.Path(folder) / "checkpoints")
    output = pathlib.Path(folder) / "report"
    shutil.rmtree(output, ignore_errors=True)
    checks.run(command, "extract", "--model", path, "--output", output, "--verify", "--quiet")
    page = output / "report.html"

    text = shown(page)
    assert "BertModel" in text and "4,385,920 parameters" in text, text[:2000]
    assert text.count('role="treeitem"') > 10 and 'class="vertex module"' in text
    text = shown(page, "#module=encoder.layer.0.attention.self")
    assert text.count('class="vertex op') > 5 and text.count('class="edge') > 5 and "BertSelfAttention" in text
    assert re.search(r"All [\d,]+ checks of the file against the live module hold", shown(page, "#view=validation"))
    assert "ONNX Runtime and LibTorch agree on" in shown(page, "#view=numbers")
    assert "No parameter is shared." in shown(page, "#view=sharing")
    about = shown(page, "#view=about")
    assert "memory peak mb" in about and "mean of 5 runs" in about and "input_ids int64 [" in about, about[:3000]
    assert re.search(r"[\d.]+ [mµ]s\s+in ONNX Runtime", shown(page, "#module=encoder.layer.0"))
    hierarchy = json.loads((output / "hierarchy.json").read_text())
    nodes = [node for node in hierarchy["operation_metadata"].values() if "time" in node]
    total = sum(node["time"] for node in nodes)
    by_module = {module["path"]: module["time"] for module in hierarchy["modules"]}
    assert len(nodes) > 50 and abs(sum(by_module.values()) - total) < 1e-9, (len(nodes), total)
    assert by_module["encoder.layer.0.output.dense"] > 0 and hierarchy["timing"]["runs"] == 5

    incomplete = pathlib.Path(folder) / "report-incomplete"
    shutil.rmtree(incomplete, ignore_errors=True)
    incomplete.mkdir()
    torch.jit.script(Counts()).save(str(incomplete / "counts.pt"))
    checks.run(command, "extract", "--model", incomplete / "counts.pt", "--output", incomplete, "--input",
               "x:float32[2,3]", "--on-unsupported", "skip", "--quiet", status=3)  # fmt: skip
    text = shown(incomplete / "report.html")
    assert "The file is not the whole module: 1 operator could not be exported" in text, text[:2000]
    row = r"aten::poisson\s+no lowering\s+left out\s+the model \(Counts\), report_test\.py:\d+"
    assert re.search(row, text), text[:3000]
    assert re.search(r"Outputs that are missing\s+output\.1\b", text), text[:3000]
    shutil.rmtree(incomplete)

    other = pathlib.Path(folder) / "report-opset"
    shutil.rmtree(other, ignore_errors=True)
    checks.run(command, "extract", "--model", path, "--output", other, "--opset", "17", "--quiet")
    checks.run(command, "compare", output, other, "--output", other, "--quiet", status=4)
    text = shown(other / "report.html")
    assert re.search(r"\d+ differences", text) and "opset" in text and 'class="mark below"' in text, text[:3000]
    shutil.rmtree(output)
    shutil.rmtree(other)


if __name__ == "__main__":
    main(*sys.argv[1:])
