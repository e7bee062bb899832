"""The run protocol: what started work says to the server, with a token that is good for one attempt of one run.

Every call may be repeated: an answer that got lost is given again. A run that is over, or whose attempt was given
up, hears 409 and stops; while the graph is away the answer is 503, and the caller tries again.
"""

import hashlib
import math
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from api.context import Services
from lineage.errors import InvalidInput, LeaseLost, Unauthenticated, Unavailable
from lineage.runs import Run, RunState

Body = dict[str, Any]
#: Less than callers wait for one answer; they ask again, and asking again changes nothing.
PATIENCE_SECONDS = 20.0
ERROR_LIMIT = 20_000  # characters of a trial's error that are kept


class Protocol:
    """The endpoints of the run protocol."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def routes(self) -> list[BaseRoute]:
        """The routes, to be mounted at the root."""
        calls = {"ask": self.ask, "report": self.report, "tell": self.tell, "beat": self.beat}
        posts = [Route(f"/v1/{name}", self._posted(call), methods=["POST"]) for name, call in calls.items()]
        return [*posts, Route("/v1/artifacts/{name}", self.put, methods=["PUT"])]

    def _posted(self, call: Callable[[Run, Body], Awaitable[Body]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                with anyio.fail_after(PATIENCE_SECONDS):
                    run = await self._run(request)
                    return _json(await call(run, await _body(request)))
            except TimeoutError as error:
                raise Unavailable(f"the graph did not answer in {PATIENCE_SECONDS:.0f} s") from error

        return endpoint

    async def _run(self, request: Request) -> Run:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("send the token of the run as `Authorization: Bearer …`")
        run = await self.services.store.runs.by_token(hashlib.sha256(token.encode()).hexdigest())
        if run is None:
            raise Unauthenticated("no attempt of a run has this token; it may have been replaced by a newer one")
        if run.is_over or run.state is RunState.QUEUED:
            raise LeaseLost(run.id, run.generation)
        return run

    async def ask(self, run: Run, body: Body) -> Body:
        """The next trial for a slot; the one that it has not told yet, if there is one."""
        slot, now = _text(body, "slot"), self.services.now()
        asked = await self.services.studies.ask(run.id, slot=slot, attempt=run.attempt, now=now)
        trial = asked.trial and {"number": asked.trial.number, "params": dict(asked.trial.params)}
        return {"trial": trial, "done": asked.done, "wait": asked.wait}

    async def report(self, run: Run, body: Body) -> Body:
        """Note an intermediate value, and say whether the trial should be pruned."""
        number, step, value = _whole(body, "trial"), _whole(body, "step"), _number(body, "value")
        if value is None:
            raise InvalidInput("value must be a number", field="value")
        prune = await self.services.studies.report(run.id, number, attempt=run.attempt, step=step, value=value)
        return {"prune": prune}

    async def tell(self, run: Run, body: Body) -> Body:
        """Note how a trial ended."""
        state, metrics = _text(body, "state"), _metrics(body)
        value, error, reason = _number(body, "value"), body.get("error"), body.get("reason")
        await self.services.studies.tell(
            run.id,
            _whole(body, "trial"),
            attempt=run.attempt,
            state=state,
            value=value,
            metrics=metrics,
            error=None if error is None else str(error)[-ERROR_LIMIT:],
            reason=None if reason is None else _text(body, "reason"),
            now=self.services.now(),
        )
        return {}

    async def beat(self, run: Run, body: Body) -> Body:
        """Note a sign of life, and say whether the work should stop."""
        progress, message = _number(body, "progress"), body.get("message")
        if progress is not None and not 0 <= progress <= 1:
            raise InvalidInput("progress must be between 0 and 1", field="progress")
        if message is not None and not isinstance(message, str):
            raise InvalidInput("message must be text", field="message")
        now = self.services.now()
        seen = await self.services.store.runs.beat(run.id, now=now, progress=progress, message=message)
        return {"cancel": seen.cancel_requested_at is not None}

    async def put(self, request: Request) -> Response:
        """Keep the bytes of the body in the artifact store, as they come."""
        await self._run(request)
        async with self.services.files.open_put() as writer:
            async for chunk in request.stream():
                await writer.write(chunk)
        kept = writer.stored
        assert kept is not None  # the block has ended well
        return _json({"sha256": kept.sha256, "bytes": kept.bytes})


def _json(body: Body) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")


async def _body(request: Request) -> Body:
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise InvalidInput("the body must be a JSON object")
    return body


def _text(body: Body, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 100:
        raise InvalidInput(f"{name} must be a text of 1 to 100 characters", field=name)
    return value


def _whole(body: Body, name: str) -> int:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInput(f"{name} must be a whole number, 0 or greater", field=name)
    return value


def _number(body: Body, name: str) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInput(f"{name} must be a finite number", field=name)
    return float(value)


def _metrics(body: Body) -> dict[str, float | None]:
    metrics = body.get("metrics") or {}
    if not isinstance(metrics, dict):
        raise InvalidInput("metrics must be an object", field="metrics")
    return {name: _number(metrics, name) for name in metrics}
