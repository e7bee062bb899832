"""A proxy that ends TLS in front of a server, with a certificate of an authority that nobody else knows."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection, socket
from socketserver import BaseRequestHandler, ThreadingTCPServer
from urllib.parse import urlsplit


@dataclass
class Terminator:
    """Where the proxy listens, the file of its authority, and what it forwards to."""

    url: str
    authority: Path
    #: The address behind it; may be told later.
    behind: str = ""
    #: Connections that got through the handshake.
    connections: int = 0


@contextmanager
def terminating(folder: Path) -> Iterator[Terminator]:
    """A proxy as long as the block lasts, whose files are made in *folder*."""
    authority, key = folder / "authority.pem", folder / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += ["-days", "2", "-subj", "/CN=tests", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, "-keyout", str(key), "-out", str(authority)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, key)

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), context.wrap_socket(self.request, server_side=True) as front:
                found.connections += 1
                parts = urlsplit(found.behind)
                with create_connection((parts.hostname or "", parts.port or 80)) as back:
                    threading.Thread(target=carry, args=(front, back), daemon=True).start()
                    carry(back, front)

    server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Terminator(f"https://127.0.0.1:{server.server_address[1]}", authority)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def carry(source: socket, target: socket) -> None:
    """Forward bytes until there are no more."""
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
