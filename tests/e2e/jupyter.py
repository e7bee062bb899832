"""A notebook driven as JupyterLab's own page does it: over REST and the WebSocket of its kernel."""

import json
import time
import uuid
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from websockets.sync.client import connect

SECONDS = 300


class Jupyter:
    """A JupyterLab at the *address* that has its token."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.place, self.token = parts.netloc, parse_qs(parts.query)["token"][0]
        self.http = httpx.Client(
            base_url=f"http://{self.place}", headers={"Authorization": f"token {self.token}"}, timeout=SECONDS
        )

    def open(self, name: str, *cells: str) -> "Kernel":
        """A saved notebook of these *cells*, with a kernel of its own."""
        content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [_cell(text) for text in cells]}
        put = self.http.put(f"/api/contents/{name}", json={"type": "notebook", "content": content})
        put.raise_for_status()
        asked = {"path": name, "name": name, "type": "notebook", "kernel": {"name": "python3"}}
        session = self.http.post("/api/sessions", json=asked)
        session.raise_for_status()
        return Kernel(self, session.json()["kernel"]["id"])


def _cell(text: str) -> dict[str, Any]:
    return {
        "id": uuid.uuid4().hex[:8],
        "cell_type": "code",
        "source": text,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }


class Kernel:
    """One kernel that does cells."""

    def __init__(self, jupyter: Jupyter, id: str) -> None:
        self._jupyter, self.id = jupyter, id

    def do(self, code: str) -> str:
        """What a cell prints; raise AssertionError with the traceback when it fails."""
        url = f"ws://{self._jupyter.place}/api/kernels/{self.id}/channels"
        headers = {"Authorization": f"token {self._jupyter.token}"}
        asked = uuid.uuid4().hex
        with connect(url, additional_headers=headers, max_size=None, open_timeout=SECONDS) as socket:
            socket.send(json.dumps(_request(asked, code)))
            return _answer(socket, asked)


def _request(id: str, code: str) -> dict[str, Any]:
    header = {"msg_id": id, "msg_type": "execute_request", "username": "", "session": id, "version": "5.3", "date": ""}
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
    return {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}


def _answer(socket: Any, asked: str) -> str:
    said, until = "", time.monotonic() + SECONDS
    while True:
        message = json.loads(socket.recv(timeout=until - time.monotonic()))
        kind, content = message["msg_type"], message["content"]
        if message["parent_header"].get("msg_id") != asked:
            continue
        said += content["text"] if kind == "stream" else ""
        assert kind != "error", "\n".join(content["traceback"])
        if kind == "status" and content["execution_state"] == "idle":
            return said
