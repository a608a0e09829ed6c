"""Netron, in a real browser, draws each node of an exported file under its name.

    netron_test.py MODELEXPORT FOLDER
"""

import functools
import html
import http.server
import importlib.util
import pathlib
import re
import sys
import threading

import onnx

import browser
import checkpoints
import checks

CONTENT_TYPES = {".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".html": "text/html"}


class Netron(http.server.BaseHTTPRequestHandler):
    """Netron's page and one model. Its cookie is there already: without, the page asks the network where it is."""

    def __init__(self, folder: pathlib.Path, model: pathlib.Path, *arguments):
        self.folder, self.model = folder, model
        super().__init__(*arguments)

    def do_GET(self):
        name = self.path.split("?")[0].strip("/") or "index.html"
        path = self.model if name == "model.onnx" else self.folder / name
        if not path.is_file():
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPES.get(path.suffix, "application/octet-stream"))
        self.send_header("Set-Cookie", "consent=1; path=/")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(path.read_bytes())

    do_HEAD = do_GET

    def log_message(self, *arguments):
        pass


def main(command: str, folder: str) -> None:
    browser.path()
    package = importlib.util.find_spec("netron")
    if package is None:
        print("skipped: needs netron (tests/requirements.txt)")
        sys.exit(77)
    checkpoint = checkpoints.traced("google/bert_uncased_L-2_H-128_A-2", pathlib.Path(folder) / "checkpoints")
    path = pathlib.Path(folder) / "netron.onnx"
    checks.run(command, "export", checkpoint, "-o", path, "--quiet")
    handler = functools.partial(Netron, pathlib.Path(package.origin).parent, path)
    with http.server.ThreadingHTTPServer(("localhost", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.dom(f"http://localhost:{server.server_port}/?url=model.onnx", milliseconds=30000)
        server.shutdown()
    drawn = {html.unescape(name) for name in re.findall(r'id="node-name-([^"]*)"', page)}
    nodes = {node.name for node in onnx.load(str(path), load_external_data=False).graph.node}
    assert drawn == nodes, f"not drawn: {nodes - drawn}; drawn besides: {drawn - nodes}"


if __name__ == "__main__":
    main(*sys.argv[1:])
