"""For tests: the other end of the run protocol, in memory over real HTTP, and workspaces with real data."""

import hashlib
import json
import shutil
import socket
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from executors.base import Limits, Prepared, Workspace

FEATURES = ("mean radius", "mean texture", "mean smoothness", "mean symmetry")
SPLITS = {"train": slice(0, 300), "validate": slice(300, 430), "test": slice(430, 569)}


class Exchange:
    """Hands out the trials that it is given, and keeps what it is told; the knobs make it misbehave."""

    def __init__(self) -> None:
        self.token = "token-of-this-very-attempt-0123456789"
        self.trials: list[Mapping[str, Any]] = []
        self.running: dict[str, int] = {}
        self.told: dict[int, dict[str, Any]] = {}
        self.reports: list[dict[str, Any]] = []
        self.artifacts: dict[str, bytes] = {}
        self.beats = 0
        #: How many requests are answered 503 before one is served.
        self.refuse = 0
        #: Trial → the step at which it hears that it is pruned.
        self.prune: dict[int, int] = {}
        self.is_canceled = self.is_stale = False
        self._next = 0
        self._lock = threading.Lock()

    def steps(self, trial: int) -> list[int]:
        """The steps that a trial has reported."""
        return [each["step"] for each in self.reports if each["trial"] == trial]

    def answer(self, path: str, token: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Serve one request."""
        with self._lock:
            if self.refuse:
                self.refuse -= 1
                return 503, {"error": {"code": "UNAVAILABLE", "message": "not now"}}
            if token != f"Bearer {self.token}":
                return 401, {"error": {"code": "UNAUTHENTICATED", "message": "who are you?"}}
            if self.is_stale:
                return 409, {"error": {"code": "STALE_GENERATION", "message": "this attempt is over"}}
            if path.startswith("/v1/artifacts/"):
                self.artifacts[path.removeprefix("/v1/artifacts/")] = body
                return 200, {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
            verb = {"/v1/ask": self._ask, "/v1/report": self._report, "/v1/tell": self._tell, "/v1/beat": self._beat}
            return 200, verb[path](json.loads(body))

    def _ask(self, body: dict[str, Any]) -> dict[str, Any]:
        slot = body["slot"]
        if slot not in self.running and self._next < len(self.trials):
            self.running[slot] = self._next
            self._next += 1
        number = self.running.get(slot)
        done = number is None and len(self.told) >= len(self.trials)
        trial = None if number is None else {"number": number, "params": self.trials[number]}
        return {"trial": trial, "done": done, "wait": 0.1}

    def _report(self, body: dict[str, Any]) -> dict[str, Any]:
        self.reports.append(body)
        return {"prune": self.prune.get(body["trial"], 1 << 30) <= body["step"]}

    def _tell(self, body: dict[str, Any]) -> dict[str, Any]:
        assert body["trial"] not in self.told, "told twice"
        self.told[body["trial"]] = body
        self.running = {slot: number for slot, number in self.running.items() if number != body["trial"]}
        return {}

    def _beat(self, body: dict[str, Any]) -> dict[str, Any]:
        self.beats += 1
        return {"cancel": self.is_canceled}


class _UnixServer(ThreadingHTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", 0

    def get_request(self) -> tuple[socket.socket, Any]:
        return self.socket.accept()[0], ("unix", 0)


class Bench:
    """A place to run things: an exchange that is served, and workspaces of the breast cancer data."""

    def __init__(self, root: Path, prepared: Prepared, *, unix: Path | None = None) -> None:
        self.root, self.prepared = root, prepared
        root.mkdir(parents=True, exist_ok=True)
        self.exchange = Exchange()
        self._count = 0
        handler = _handler(self.exchange)
        address: Any = str(unix) if unix else ("127.0.0.1", 0)
        self._server = (_UnixServer if unix else ThreadingHTTPServer)(address, handler)
        self._server.daemon_threads = True
        if unix:
            unix.chmod(0o666)  # work in a container has another user
        self.url = f"unix:{unix}" if unix else f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fit(self, code: str, **rest: Any) -> Workspace:
        """A workspace that fits one model with *code*."""
        return self._workspace(code, mode="fit", **rest)

    def tune(self, code: str, trials: Sequence[Mapping[str, Any]], **rest: Any) -> Workspace:
        """A workspace that does *trials* with *code*."""
        self.exchange.trials = list(trials)
        objective = {"metric": "roc_auc", "greater_is_better": True, "split": "validate"}
        return self._workspace(code, mode="tune", objective=objective, **rest)

    def predict(self, model: Path, *, sha256: str | None = None, **given: Any) -> Workspace:
        """A workspace that predicts the split `test` with a model file."""
        sha256 = sha256 or hashlib.sha256(model.read_bytes()).hexdigest()
        body = {"path": f"model/{model.name}", "sha256": sha256, "format": "skops", "allowed_types": [], **given}
        workspace = self._workspace(None, mode="predict", model=body, predict={"data": {"test": "data/test.parquet"}})
        (workspace.root / "model").mkdir()
        shutil.copy(model, workspace.root / "model")
        return workspace

    def _workspace(
        self,
        code: str | None,
        *,
        slots: int = 1,
        limits: Limits | None = None,
        contract: str = "build",
        network: bool = False,
        **job: Any,
    ) -> Workspace:
        self._count += 1
        root = self.root / f"work{self._count}"
        for folder in ("code", "data", "out"):
            (root / folder).mkdir(parents=True)
        for split, data in _data().items():
            (root / "data" / f"{split}.parquet").write_bytes(data)
        if code is not None:
            (root / "code" / "model.py").write_text(code)
            job["code"] = {
                "path": "code",
                "entry": f"model.py:{'train' if contract == 'train' else 'build'}",
                "contract": contract,
            }
        body = {
            "protocol": {"url": self.url, "token": self.exchange.token, "patience": 20, "beat": 0.2},
            "seed": 7,
            "data": {split: f"data/{split}.parquet" for split in SPLITS},
            "features": list(FEATURES),
            "label": "benign",
            "entity": ["id"],
            "task": "classification",
            "metrics": ["roc_auc", "f1"],
            "params": {},
            **job,
        }
        (root / "job.json").write_text(json.dumps(body))
        return Workspace(
            run_id=f"run-{self._count}",
            generation=1,
            attempt=1,
            root=root,
            prepared=self.prepared,
            slots=slots,
            limits=limits or Limits(),
            network=network,
        )


@cache
def _data() -> dict[str, bytes]:
    import io

    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer(as_frame=True)
    frame = found.data[list(FEATURES)].assign(benign=found.target, id=range(len(found.target)))
    pieces = {}
    for split, rows in SPLITS.items():
        stream = io.BytesIO()
        frame.iloc[rows].to_parquet(stream, index=False)
        pieces[split] = stream.getvalue()
    return pieces


def _handler(exchange: Exchange) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = exchange.answer(self.path, self.headers["Authorization"], body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_PUT = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            """Tests are quiet."""

    return Handler
