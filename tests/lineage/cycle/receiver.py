"""A receiver of webhooks on loopback that behaves as it is told: answers, fails, hangs, resets, sends elsewhere."""

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
from anyio.abc import SocketAttribute, SocketStream


@dataclass(kw_only=True)
class Post:
    """One message as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(kw_only=True)
class Receiver:
    """What it does next, one word a post (the last one stays), and what it was sent.

    A word is a status, or hang, reset, garbage, drip.
    """

    behaviour: list[str] = field(default_factory=lambda: ["200"])
    posts: list[Post] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, stream: SocketStream) -> None:
        """Read one message and behave."""
        async with stream:
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError):
                self.posts.append(await _read(stream))
                word = self.behaviour.pop(0) if len(self.behaviour) > 1 else self.behaviour[0]
                await self._behave(word, stream)

    async def _behave(self, word: str, stream: SocketStream) -> None:
        if word == "hang":
            await anyio.sleep(30)
        elif word == "reset":
            raw = stream.extra(SocketAttribute.raw_socket)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif word == "garbage":
            await stream.send(b"\x00\x01 no HTTP at all\r\n\r\n")
        elif word == "drip":
            while True:
                await stream.send(b"HTTP/1.1 102 Processing\r\n\r\n")
                await anyio.sleep(0.05)
        else:
            location = f"Location: http://127.0.0.1:{self.port}/elsewhere\r\n" if word.startswith("3") else ""
            await stream.send(f"HTTP/1.1 {word} X\r\n{location}Content-Length: 2\r\n\r\nok".encode())


async def _read(stream: SocketStream) -> Post:
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers["content-length"]):
        body += await stream.receive()
    return Post(path=first.split()[1], headers=headers, body=body)


@asynccontextmanager
async def receiving(*behaviour: str) -> AsyncIterator[Receiver]:
    """A receiver as long as the block lasts."""
    receiver = Receiver(behaviour=list(behaviour) or ["200"])
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        receiver.port = listener.extra(SocketAttribute.local_port)
        tasks.start_soon(listener.serve, receiver.serve)
        yield receiver
        tasks.cancel_scope.cancel()
