"""A package index behind TLS whose name only a proxy knows: both on loopback, with an authority of their own."""

import base64
import secrets
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from tests.executors import index
from tests.executors.tls import carry

OPENSSL = """
set -e
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem
openssl req -newkey rsa:2048 -nodes -subj /CN={name} -keyout server.key -out server.csr
printf 'subjectAltName=DNS:{name}\\nbasicConstraints=CA:FALSE\\n' > extensions
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.pem
"""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the packages are, and what the proxy was asked for."""

    #: The index's name, which no resolver finds; another each time, as installers cache by it.
    name: str
    index_url: str
    proxy: str
    ca_bundle: Path
    asked: list[str] = field(default_factory=list)


@contextmanager
def serving(folder: Path, user: str, password: str) -> Iterator[Place]:
    """The index and its proxy; both want the same user and password."""
    name = f"packages-{secrets.token_hex(4)}.invalid"
    subprocess.run(["sh", "-c", OPENSSL.format(name=name)], cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    asked: list[str] = []
    with index.serving(user, password) as plain:
        target = urlsplit(plain)
        assert target.port is not None
        known = base64.b64encode(f"{user}:{password}".encode()).decode()
        handler = _proxy(asked, context, f"{name}:443", target.port, known)
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield Place(
                name=name,
                index_url=f"https://{user}:{password}@{name}/simple",
                proxy=f"http://{user}:{password}@127.0.0.1:{server.server_port}",
                ca_bundle=folder / "ca.pem",
                asked=asked,
            )
            server.shutdown()


def _proxy(
    asked: list[str], context: ssl.SSLContext, wanted: str, port: int, known: str
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Joins whoever knows the password to the index, and to nothing else."""

        def do_CONNECT(self) -> None:
            asked.append(self.path)
            if self.headers.get("Proxy-Authorization") != f"Basic {known}":
                self.send_response(407)
                self.send_header("Proxy-Authenticate", "Basic")
                self.end_headers()
                return
            if self.path != wanted:
                self.send_error(403)
                return
            self.send_response(200)
            self.end_headers()
            with (
                suppress(OSError),
                context.wrap_socket(self.connection, server_side=True) as near,
                socket.create_connection(("127.0.0.1", port)) as far,
            ):
                threading.Thread(target=carry, args=(near, far), daemon=True).start()
                carry(far, near)
            self.close_connection = True

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    return Handler
