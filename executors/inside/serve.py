"""A scoring server: one model behind MLflow's scoring protocol, on a Unix socket, by the standard library alone."""

from __future__ import annotations

import json
import os
import socket
import socketserver
import threading
import time
from contextlib import nullcontext, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from executors.inside.program import guarded
from executors.inside.requests import BadRequest, read_csv, read_json
from executors.inside.sample import Sample
from executors.inside.scoring import predict
from executors.inside.signature import Signature
from executors.inside.verdicts import UserCode, need

BODY_LIMIT = 16 * 1024 * 1024
CONNECTIONS = 128  # at a time; one more hears 503
READ_SECONDS = 20.0  # for a request to arrive once it has begun
IDLE_SECONDS = 300.0  # that a connection may rest between two requests
DRAIN_SECONDS = 8.0  # for requests that are under way when the server is asked to stop
TICK = 0.2
VERSION = "3.0.0"  # of MLflow, whose protocol this is


class Scorer:
    """A loaded model with its signature, and the sample of rows that is kept where the job says so."""

    def __init__(self, model: Any, job: dict[str, Any]) -> None:
        self.model, self.task = model, str(job.get("task", "classification"))
        kept = job.get("sample")
        self.sample = Sample(Path(kept["path"]), int(kept["rows"])) if kept else None
        self.signature = Signature(job["signature"]["inputs"])

    def answer(self, data: bytes, content_type: str) -> dict[str, Any]:
        """The predictions for the rows of a body; raise BadRequest for one that the caller can mend."""
        is_csv = content_type == "text/csv"
        asked = read_csv(data) if is_csv else read_json(data, self.signature.names)
        values = self.signature.values(asked, from_text=is_csv)
        table = self.signature.framed(values)
        if not len(table):
            return {"predictions": []}
        try:
            predicted = self._predict(table, wants_scores=bool(asked.params.get("probabilities")))
        except UserCode as error:
            raise BadRequest(_refusal(error, table)) from error
        if self.sample is not None:
            self.sample.add(values)
        return predicted

    def _predict(self, table: Any, *, wants_scores: bool) -> dict[str, Any]:
        if not wants_scores:
            return {"predictions": need("numpy").asarray(guarded(self.model.predict, table)).tolist()}
        found = predict(self.model, table, self.task)
        if found.scores is None:
            raise BadRequest("the model gives no probabilities")
        return {
            "predictions": found.values.tolist(),
            "probabilities": found.scores.tolist(),
            "classes": need("numpy").asarray(found.classes).tolist(),
        }


def _refusal(error: UserCode, table: Any) -> str:
    """What a caller hears when the estimator refuses the rows: its own first line, and the columns that have gaps."""
    said = (str(error.__cause__ or error).strip().splitlines() or [type(error.__cause__).__name__])[0]
    gaps = [str(name) for name in getattr(table, "columns", ()) if table[name].isna().any()]
    hint = f"; values are missing in: {', '.join(gaps)}" if gaps else ""
    return f"the model refuses these rows: {said}{hint}"


class Handler(BaseHTTPRequestHandler):
    """One connection, one request after the other."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    wbufsize = -1  # an answer leaves in one piece
    server: Server

    def handle_one_request(self) -> None:
        """Serve one request, and count it as under way from its first line to its last byte."""
        self.connection.settimeout(IDLE_SECONDS)
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True
        finally:
            self.server.leave(self)

    def finish(self) -> None:
        """Close; what a caller that has gone has not heard is lost to nobody."""
        with suppress(OSError):
            super().finish()

    def parse_request(self) -> bool:
        """The first line is here: the rest must follow soon."""
        self.server.enter(self)
        self.connection.settimeout(READ_SECONDS)
        return super().parse_request()

    def do_GET(self) -> None:
        """Health and version."""
        path = self.path.partition("?")[0]
        if path in ("/ping", "/health"):
            self._send(200, b"\n")
        elif path == "/version":
            self._send(200, VERSION.encode(), "text/plain")
        else:
            self._fail(404, "RESOURCE_DOES_NOT_EXIST", f"there is nothing at {path}")

    def do_POST(self) -> None:
        """Score."""
        if self.path.partition("?")[0] != "/invocations":
            self.close_connection = True
            self._fail(404, "RESOURCE_DOES_NOT_EXIST", "rows are sent to /invocations")
            return
        data = self._body()
        if data is None:
            return
        content_type, _, parameters = self.headers.get("Content-Type", "").lower().partition(";")
        if content_type.strip() not in ("application/json", "text/csv") or not _is_utf8(parameters):
            self._fail(415, "BAD_REQUEST", "send application/json or text/csv, in UTF-8")
            return
        try:
            answer = self.server.scorer.answer(data, content_type.strip())
            self._send(200, json.dumps(answer, allow_nan=False).encode())
        except BadRequest as error:
            self._fail(400, "BAD_REQUEST", str(error))
        except ValueError as error:
            self._fail(500, "INTERNAL_ERROR", f"the model predicts what JSON cannot hold: {error}")
        except MemoryError:
            self._fail(500, "INTERNAL_ERROR", "these rows need more memory than the model may have; send fewer")

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self.close_connection = True
            self._fail(411, "BAD_REQUEST", "send the length of the body")
            return None
        if int(length) > BODY_LIMIT:
            self.close_connection = True
            self._fail(413, "BAD_REQUEST", f"the body may have at most {BODY_LIMIT} bytes")
            return None
        data = self.rfile.read(int(length))
        if len(data) < int(length):
            self.close_connection = True
            return None
        return data

    def _fail(self, status: int, code: str, message: str) -> None:
        self._send(status, json.dumps({"error_code": code, "message": message}).encode())

    def _send(self, status: int, data: bytes, content_type: str = "application/json") -> None:
        if self.server.is_draining:
            self.close_connection = True
        self.send_response_only(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what rows hold, and who sends them, is nobody's business."""


def _is_utf8(parameters: str) -> bool:
    name, _, value = parameters.strip().partition("=")
    return name != "charset" or value.strip('" ') in ("utf-8", "utf8")


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Connections on a Unix socket, each with a thread, and no more of them than CONNECTIONS."""

    address_family = socket.AF_UNIX
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, path: str, scorer: Scorer, *, orphaned_after: float) -> None:
        self.scorer, self.path, self.orphaned_after = scorer, path, orphaned_after
        self.is_draining = False
        self._room = threading.BoundedSemaphore(CONNECTIONS)
        self._busy: set[Handler] = set()
        self._heard = time.monotonic()
        with suppress(FileNotFoundError):
            os.unlink(path)
        super().__init__(path, Handler)  # type: ignore[arg-type]
        os.chmod(path, 0o666)  # who may come near it is a matter of the folder

    def server_bind(self) -> None:
        """Bind; a Unix socket has no name to look up."""
        self.socket.bind(self.path)

    def get_request(self) -> tuple[Any, Any]:
        """Accept; the peer of a Unix socket has no address."""
        return self.socket.accept()[0], ("caller", 0)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a connection its thread, or turn it away."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with suppress(OSError):
            request.sendall(b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A fault in one connection goes to the log, and ends that connection alone."""
        import traceback

        traceback.print_exc()

    def enter(self, handler: Handler) -> None:
        """Note that a request has begun."""
        self._heard = time.monotonic()
        self._busy.add(handler)

    def leave(self, handler: Handler) -> None:
        """Note that it has been answered."""
        self._busy.discard(handler)

    def serve(self) -> None:
        """Serve until the process is asked to stop, or nobody has asked anything for *orphaned_after* seconds."""
        self._heard = time.monotonic()
        try:
            self.serve_forever(poll_interval=TICK)
        finally:
            self._drain()

    def service_actions(self) -> None:
        """End where whoever looks after the server is gone for good."""
        super().service_actions()
        if time.monotonic() - self._heard > self.orphaned_after:
            raise Orphaned

    def _drain(self) -> None:
        self.is_draining = True
        with suppress(FileNotFoundError):
            os.unlink(self.path)
        self.socket.close()
        until = time.monotonic() + DRAIN_SECONDS
        while self._busy and time.monotonic() < until:
            time.sleep(TICK / 10)


class Orphaned(Exception):
    """Nobody has asked for anything, not even for health, for so long that nobody will."""


def serve(model: Any, job: dict[str, Any]) -> None:
    """Serve *model* at the socket that the job names until the process is asked to stop."""
    path = Path(job["socket"])
    scorer = Scorer(model, job)
    server = Server(str(path), scorer, orphaned_after=float(job.get("orphaned_after") or float("inf")))
    print(f"serving at {path}", flush=True)
    with scorer.sample or nullcontext(), suppress(Orphaned):
        server.serve()
