"""A local server in the place of the upstream host, and no way past it."""

import os
import struct
import threading
import zlib
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from skdeep.datasets import _fetch
from skdeep.datasets._entry import DataFile, Dataset


class LocalServer(ThreadingHTTPServer):
    """Serves `contents` and misbehaves as `script` says, one entry a request."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.contents = {}
        self.script = []
        self.requests = []
        self.released = threading.Event()  # ends a stalled answer
        self.meeting = None  # a threading.Barrier that all requests wait at
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """Clients that hang up early are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.requests.append(self.path)
        if server.meeting is not None:
            server.meeting.wait(timeout=5)
        step = server.script.pop(0) if server.script else "serve"
        content = server.contents.get(self.path.lstrip("/"))
        if isinstance(step, int):
            self.send_error(step)
        elif content is None:
            self.send_error(404)
        elif step == "stall":
            server.released.wait(timeout=10)
        elif step == "truncate":
            self._answer(content[: len(content) // 2], len(content))
        elif step == "wrong":
            self._answer(b"x" * len(content), len(content))
        elif step == "longer":
            self._answer(content + b"x" * 1000, len(content) + 1000)
        elif step != "hang up":
            self._answer(content, len(content))

    def _answer(self, content, n_announced):
        self.send_response(200)
        self.send_header("Content-Length", str(n_announced))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        """Keep the output of the tests clean."""


def _start():
    server = LocalServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    return server, thread


def _stop(server, thread):
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def server(monkeypatch):
    """The upstream host."""
    server, thread = _start()
    monkeypatch.setattr(_fetch, "UPSTREAM", server.url)
    yield server
    _stop(server, thread)


@pytest.fixture
def mirror(monkeypatch):
    """A second server, which SKDEEP_DATA_MIRROR names."""
    server, thread = _start()
    monkeypatch.setenv("SKDEEP_DATA_MIRROR", server.url + "/")
    yield server
    _stop(server, thread)


@pytest.fixture(scope="session")
def mirror_address():
    """What SKDEEP_DATA_MIRROR was before any test changed it."""
    return os.environ.get("SKDEEP_DATA_MIRROR")


@pytest.fixture(scope="session")
def mirror_home(tmp_path_factory):
    """A data home that all tests of the real files share."""
    return tmp_path_factory.mktemp("skdeep_data")


@pytest.fixture
def real_files(mirror_address, mirror_home, monkeypatch):
    """Arguments of a fetcher that is to read the real files from the mirror."""
    if not mirror_address:
        pytest.skip("SKDEEP_DATA_MIRROR is not set: the real files are not at hand")
    monkeypatch.setenv("SKDEEP_DATA_MIRROR", mirror_address)
    return {"data_home": mirror_home}


@pytest.fixture(autouse=True)
def _no_real_network(mirror_address, monkeypatch, tmp_path):
    monkeypatch.delenv("SKDEEP_DATA_MIRROR", raising=False)
    monkeypatch.setenv("SKDEEP_DATA", str(tmp_path / "home"))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    monkeypatch.setattr(_fetch, "UPSTREAM", "http://127.0.0.1:9")  # nobody listens


@pytest.fixture
def make_dataset():
    """Build a table entry for contents of our own."""

    def make(name, contents):
        return Dataset(
            name=name,
            task="test",
            n_samples=1,
            n_features=1,
            n_classes=1,
            licence="none",
            source="none",
            citation="none",
            files=tuple(
                DataFile(path, len(content), sha256(content).hexdigest())
                for path, content in contents.items()
            ),
        )

    return make


def _png_chunk(kind, body):
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + checksum


@pytest.fixture(scope="session")
def make_png():
    """Write rows of 0 (black) and 1 (white) as a PNG image of one bit a pixel."""

    def make(rows, header=(1, 0, 0, 0, 0), filter_type=0, shape=None):
        height, width = shape or rows.shape
        lines = [bytes([filter_type]) + np.packbits(row).tobytes() for row in rows]
        data = zlib.compress(b"".join(lines))
        return (
            b"\x89PNG\r\n\x1a\n"
            + _png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, *header))
            + _png_chunk(b"tIME", b"\0" * 7)
            + _png_chunk(b"IDAT", data[:5])
            + _png_chunk(b"IDAT", data[5:])
            + _png_chunk(b"IEND", b"")
        )

    return make
