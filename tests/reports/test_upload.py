"""Uploading a bundle, against a stand-in of the hub on this machine; the real one has not been tried."""

import base64
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import one_clear_line

from hashbench import InputError
from hashbench.reports.bundles.upload import upload

CONTENT = b"a bundle"


def address(server):
    return f"http://127.0.0.1:{server.server_address[1]}"


def commit_at(server):
    return f"{address(server)}/datasets/lab/results/commit/abc"


class Hub(BaseHTTPRequestHandler):
    """Answers what the library asks when it uploads one small file, and keeps what it was told."""

    def do_POST(self):
        body = self._body()
        self.server.asked.append((self.path, body))
        if not self._is_known():
            self._answer(401, {"error": "Invalid user token"})
        elif self.path == "/api/repos/create":
            self._answer(200, {"url": f"{address(self.server)}/datasets/lab/results"})
        elif "/preupload/" in self.path:
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
            self._answer(200, {"files": files})
        elif "/commit/" in self.path:
            self._answer(200, {"commitUrl": commit_at(self.server), "commitOid": "abc", "hookOutput": ""})
        else:
            self._answer(404, {"error": "not here"})

    def do_GET(self):
        self._answer(404 if self._is_known() else 401, {"error": "Invalid user token"})

    def _is_known(self):
        return self.headers.get("Authorization") == "Bearer right"

    def _body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, code, values):
        content = json.dumps(values).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "results.zip"
    path.write_bytes(CONTENT)
    return path


def test_the_hub_gets_the_file_under_its_name(hub, bundle, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "right")
    assert upload(bundle, "hf:lab/results", address(hub)) == commit_at(hub)
    paths = [path for path, _ in hub.asked]
    assert paths[0] == "/api/repos/create"
    made = json.loads(hub.asked[0][1])
    assert (made["name"], made["organization"], made["type"]) == ("results", "lab", "dataset")
    assert re.match(r"/api/datasets/lab/results/commit/main", paths[-1])
    lines = [json.loads(line) for line in hub.asked[-1][1].splitlines()]
    (file,) = [line["value"] for line in lines if line["key"] == "file"]
    assert (file["path"], base64.b64decode(file["content"])) == ("results.zip", CONTENT)


def test_a_hub_that_refuses_is_reported_in_one_line(hub, bundle, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "wrong")
    with pytest.raises(
        InputError, match=r"--to hf:lab/results: the upload failed .*401.*results\.zip is written"
    ) as caught:
        upload(bundle, "hf:lab/results", address(hub))
    assert "\n" not in str(caught.value)
    assert bundle.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "to", ["lab/results", "hf:results", "hf:lab/results/x", "hf:../x y", "https://hub/lab/x", "hf:"]
)
def test_what_names_no_repository(bundle, to):
    with pytest.raises(InputError, match="expected hf:OWNER/NAME"):
        upload(bundle, to)


def test_the_command_uploads_what_it_has_written(hub, board_run, tmp_path, monkeypatch, cli):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", address(hub))
    monkeypatch.setenv("HF_TOKEN", "right")
    done = cli("bundle", board_run, "-o", tmp_path / "all.zip", "--to", "hf:lab/results")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == commit_at(hub)
    monkeypatch.setenv("HF_TOKEN", "wrong")
    one_clear_line(cli("bundle", board_run, "-o", tmp_path / "all.zip", "--to", "hf:lab/results"), "upload failed")
