"""The run protocol as a slot speaks it: HTTP over TCP or a Unix socket, asked again until it answers."""

from __future__ import annotations

import http.client
import json
import math
import os
import random
import signal
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from executors.inside.verdicts import Canceled, InvalidJob, Refused, Silent, Stale

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT = 30.0  # seconds that one answer may take
PAUSES = (0.05, 5.0)  # seconds before the second try, and the longest pause after that
STALE_ERRORS = ("STALE_GENERATION",)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Protocol:
    """One slot's line to the API; *authorities* are PEM text of those to trust besides the system's own."""

    def __init__(
        self, url: str, token: str, *, slot: str, patience: float = 120.0, authorities: str | None = None
    ) -> None:
        self._url, self._token, self._slot, self._patience = url, token, slot, patience
        self._tls = ssl.create_default_context() if url.startswith("https:") else None
        if self._tls is not None and authorities:
            self._tls.load_verify_locations(cadata=authorities)
        #: Called with True when an answer keeps the slot waiting, with False when it has come.
        self.on_wait: Callable[[bool], None] = lambda waits: None

    @classmethod
    def of(cls, line: dict[str, Any], *, slot: str) -> Protocol:
        """The line that job.json describes under `protocol`."""
        patience, authorities = float(line.get("patience") or 120), line.get("authorities")
        return cls(line["url"], line["token"], slot=slot, patience=patience, authorities=authorities)

    def ask(self) -> dict[str, Any]:
        """What to do next: `trial`, `done`, `wait`."""
        return self._post("/v1/ask", {"slot": self._slot})

    def report(self, trial: int, step: int, value: float) -> bool:
        """Report an intermediate value and hear whether to prune; one that is not finite is not sent."""
        if not math.isfinite(value):
            return False
        try:
            return bool(self._post("/v1/report", {"trial": trial, "step": step, "value": value}).get("prune"))
        except Refused as error:
            print(f"trial {trial}: step {step} was not taken: {error}", flush=True)
            return False

    def tell(self, trial: int, state: str, **result: Any) -> None:
        """Tell how a trial ended; one that was given up meanwhile is refused, and the slot goes on."""
        body = {"trial": trial, "state": state, "value": None, "metrics": {}, "error": None, **result}
        try:
            self._post("/v1/tell", body)
        except Refused as error:
            print(f"trial {trial}: {state} was not taken: {error}", flush=True)

    def beat(self, progress: float | None = None) -> bool:
        """Say that the slot lives, and how far it has come; once and without patience. True when it is to stop."""
        body = json.dumps({"slot": self._slot, "progress": progress, "message": None}).encode()
        status, answer = self._once("POST", "/v1/beat", body, "application/json")
        return bool(self._read(status, answer).get("cancel"))

    def put(self, name: str, data: bytes) -> dict[str, Any]:
        """Keep *data* in the artifact store: `sha256` and `bytes`."""
        return self._request("PUT", f"/v1/artifacts/{quote(name)}", data, "application/octet-stream")

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._request("POST", path, json.dumps(body, allow_nan=False).encode(), "application/json")

    def _request(self, method: str, path: str, body: bytes, kind: str) -> dict[str, Any]:
        until, pause, waits = time.monotonic() + self._patience, PAUSES[0], False
        while True:
            try:
                status, answer = self._once(method, path, body, kind)
                problem = f"{status} {answer[:200].decode(errors='replace')}"
                if status < 500 and status != 429:
                    if waits:
                        self.on_wait(False)
                    return self._read(status, answer)
            except (OSError, http.client.HTTPException) as error:
                problem = f"{type(error).__name__}: {error}"
            if not waits:
                waits = True
                self.on_wait(True)
            if time.monotonic() + pause > until:
                raise Silent(f"the API did not answer for {self._patience:.0f} s; last: {problem}")
            time.sleep(pause * random.uniform(0.8, 1.2))
            pause = min(pause * 2, PAUSES[1])

    def _once(self, method: str, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
        connection = self._connect()
        try:
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind, "Connection": "close"}
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        if self._url.startswith("unix:"):
            return UnixConnection(self._url[len("unix:") :], TIMEOUT)
        parts = urlsplit(self._url)
        if parts.hostname is None or parts.scheme not in ("http", "https"):
            raise InvalidJob(f"the address of the API, {self._url!r}, is neither http://… nor unix:/…")
        if self._tls is not None:
            return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT, context=self._tls)
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT)

    def _read(self, status: int, answer: bytes) -> dict[str, Any]:
        try:
            body = json.loads(answer or b"{}")
        except ValueError:
            body = {}
        if status < 300:
            return body if isinstance(body, dict) else {}
        error = body.get("error") or {} if isinstance(body, dict) else {}
        code, message = error.get("code"), error.get("message")
        if status == 401 or code in STALE_ERRORS:
            raise Stale(message or f"the API refuses this slot ({status})")
        raise Refused(f"the API refused: {status} {code or ''} {message or ''}".rstrip())


class Heart(threading.Thread):
    """Beats beside the work; when the API says stop, asks the main thread to, and ends the process if it does not."""

    def __init__(self, protocol: Protocol, *, interval: float, grace: float) -> None:
        super().__init__(name="heart", daemon=True)
        self._protocol, self._interval, self._grace = protocol, interval, grace
        self._quiet = threading.Event()
        #: How far the work has come, from 0 to 1; None where nobody can tell.
        self.progress: Callable[[], float | None] = lambda: None
        #: Why the main thread was asked to stop, if it was.
        self.stopped_by: BaseException | None = None

    def run(self) -> None:
        """Beat until `rest`."""
        while not self._quiet.is_set():
            try:
                if self._protocol.beat(self.progress()):
                    return self._stop(Canceled("the run was cancelled"))
            except Stale as error:
                return self._stop(error)
            except (OSError, http.client.HTTPException, InvalidJob, Refused):
                pass  # the next beat may get through; how long silence lasts is for the worker to judge
            self._quiet.wait(self._interval)
        return None

    def rest(self) -> None:
        """Beat no more."""
        self._quiet.set()

    def _stop(self, why: BaseException) -> None:
        self.stopped_by = why
        os.kill(os.getpid(), signal.SIGTERM)
        if not self._quiet.wait(self._grace):
            os._exit(getattr(why, "code", Canceled.code))  # nothing is half-written: the manifest comes last
