"""A package index that wants a password, with a wheel that the test makes."""

import base64
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WHEEL = "tiny_words-1.0-py3-none-any.whl"


def wheel() -> bytes:
    """The bytes of a package with one module."""
    info = "tiny_words-1.0.dist-info"
    files = {
        "tiny_words.py": "WORDS = 'tiny'\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny-words\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()


@contextmanager
def serving(user: str, password: str) -> Iterator[str]:
    """The address of the index, credentials included."""
    data, allowed = wheel(), "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    listing = f'<a href="/files/{WHEEL}#sha256={hashlib.sha256(data).hexdigest()}">{WHEEL}</a>'.encode()
    pages = {"/simple/tiny-words/": ("text/html", listing), f"/files/{WHEEL}": ("application/zip", data)}

    class Handler(BaseHTTPRequestHandler):
        """Answers those who know the password."""

        def do_GET(self) -> None:
            known = self.headers.get("Authorization") == allowed
            kind, body = pages.get(self.path, ("", b""))
            self.send_response(401 if not known else 200 if kind else 404)
            self.send_header("WWW-Authenticate", "Basic")
            self.send_header("Content-Type", kind or "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{user}:{password}@127.0.0.1:{server.server_port}/simple"
        server.shutdown()
