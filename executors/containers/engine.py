"""The Docker daemon. The SDK is imported here alone, every call is made in a thread, and its errors become ours."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import docker
import requests
import urllib3
from anyio.to_thread import run_sync
from docker import errors

from lineage.errors import Conflict, ExecutionFailed, NotFound

T = TypeVar("T")

ADVICE = (
    "start it (systemctl start docker), let this user reach it (group docker), or name another by DOCKER_HOST;"
    " the executor 'process' needs none"
)
TIMEOUT_SECONDS = 60  # between two bytes of an answer
POOL = 64
_END = object()


class Engine:
    """One Docker daemon: that of DOCKER_HOST, or this machine's.

    What it is asked is given as a function of the SDK's client. Its errors are:

    - NotFound: there is no such image, container, network or volume.
    - Conflict: the name is taken, or the thing is in use.
    - ExecutionFailed: UNAVAILABLE when the daemon does not answer, DOCKER when it refuses, with its own words.
    """

    def __init__(self) -> None:
        self._client: Any = None
        #: Whether the daemon has ever answered: one that has, and does so no more, is likely to come back.
        self.has_answered = False
        self._connecting = threading.Lock()

    async def ask(self, work: Callable[[Any], T], *, abandon: bool = False) -> T:
        """What *work* makes of the client; with *abandon* a cancelled caller need not wait for the daemon's answer."""
        return await run_sync(self._ask, work, abandon_on_cancel=abandon)

    async def stream(self, work: Callable[[Any], Iterator[T]]) -> AsyncIterator[T]:
        """The items that *work* yields as they come; a cancelled caller leaves at once."""
        items = await self.ask(work)
        while True:
            item = await run_sync(self._next, items, abandon_on_cancel=True)
            if item is _END:
                return
            yield item

    def _ask(self, work: Callable[[Any], T]) -> T:
        with told():
            answer = work(self._connected())
        self.has_answered = True
        return answer

    def _next(self, items: Iterator[T]) -> Any:
        with told():
            return next(items, _END)

    def _connected(self) -> Any:
        with self._connecting:
            if self._client is None:
                self._client = docker.from_env(timeout=TIMEOUT_SECONDS, max_pool_size=POOL)
            return self._client

    async def close(self) -> None:
        """Let the connections go."""
        if self._client is not None:
            await run_sync(self._client.close)
            self._client = None


def leave(stream: Any) -> None:
    """Leave a stream of the SDK before its end; its own `close` leaves the socket to the garbage collector."""
    stream._response.close()


@contextmanager
def told() -> Iterator[None]:
    """Turn what the SDK raises into our errors."""
    try:
        yield
    except errors.NotFound as error:
        raise NotFound(_words(error)) from error
    except errors.ContainerError as error:
        said = (error.stderr or b"").decode(errors="replace").strip()
        message = f"the container ended with exit code {error.exit_status}: {said or 'it said nothing'}"
        raise ExecutionFailed(message, reason="DOCKER", log_tail=said) from error
    except errors.APIError as error:
        if error.status_code == 409:
            raise Conflict(_words(error)) from error
        raise ExecutionFailed(_words(error), reason="DOCKER") from error
    except (errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise ExecutionFailed(f"the Docker daemon does not answer: {error}; {ADVICE}", reason="UNAVAILABLE") from error


def _words(error: errors.APIError) -> str:
    return str(error.explanation or error)
