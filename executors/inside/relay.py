"""Connections carried from one socket to another: how a browser gets into a container without a network, and out."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
PIECE = 64 * 1024


async def join(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connect: Callable[[], Awaitable[Streams]]
) -> None:
    """Carry a connection to where *connect* leads until both ends have said all; where nobody answers it is closed."""
    try:
        far_reader, far_writer = await connect()
    except OSError:
        writer.close()
        return
    try:
        await asyncio.gather(_carry(reader, far_writer), _carry(far_reader, writer))
    except (OSError, asyncio.CancelledError):
        return  # one end has gone, or we go; the others are told by the close
    finally:
        far_writer.close()
        writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(PIECE):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def open_unix(path: str) -> Streams:
    """Connect to the Unix socket at *path*, however long that is, and never to where a link in its place leads."""
    place = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        if not stat.S_ISSOCK(os.fstat(place).st_mode):
            raise ConnectionRefusedError(f"{path} is no socket")
        return await asyncio.open_unix_connection(f"/proc/self/fd/{place}")
    finally:
        os.close(place)
