"""What clients hear when something goes wrong: a code and a sentence, and of a fault of ours only its id."""

import secrets
from collections.abc import Mapping
from typing import Any

import orjson
import strawberry
import structlog
from graphql import GraphQLError
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.types import ExecutionContext

from api.sdl import camel
from lineage.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    LeaseLost,
    LimitExceeded,
    LineageError,
    NotFound,
    Unauthenticated,
    Unavailable,
)

log = structlog.get_logger()

RETRY_AFTER = "2"  # seconds after which an unavailable server may be asked again
STATUS: Mapping[type[LineageError], int] = {
    InvalidInput: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    LeaseLost: 409,
    LimitExceeded: 413,
    Unavailable: 503,
}


class Schema(strawberry.Schema):
    """A schema whose errors carry `extensions.code`."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Give each error its code, and hide what is a fault of ours."""
        for error in errors:
            _code(error)


def _code(error: GraphQLError) -> None:
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    if (error.extensions or {}).get("code"):
        return
    if isinstance(cause, LineageError):
        error.message, error.extensions = str(cause), extensions(cause)
    elif cause is None or isinstance(cause, StrawberryInputCoercionError):
        # The document itself is wrong: its syntax, a field that is not there, a variable of another type.
        too_long = "Parsing aborted" in error.message
        error.extensions = {"code": LimitExceeded.code if too_long else InvalidInput.code}
    else:
        message, id = fault(cause)
        error.message, error.extensions = message, {"code": LineageError.code, "id": id}


def extensions(error: LineageError) -> dict[str, Any]:
    """What code can act on: the code, and for bad input its field and what may have been meant."""
    found: dict[str, Any] = {"code": error.code}
    if isinstance(error, InvalidInput):
        found |= {"field": camel(error.field), "nearest": error.nearest}
    return found


def fault(error: BaseException) -> tuple[str, str]:
    """Log *error* under a new id, and return what the client may hear of it and that id."""
    id = secrets.token_hex(6)
    log.error("api.fault", id=id, exc_info=error)
    return f"something went wrong on our side; the server's log has it under {id}", id


def status(error: LineageError) -> int:
    """The HTTP status for *error*."""
    return next((STATUS[cls] for cls in type(error).__mro__ if cls in STATUS), 500)


def response(error: LineageError, *, graphql: bool) -> Response:
    """*error* as JSON, in the shape of GraphQL or in that of the plain endpoints."""
    code, message = status(error), str(error)
    body: dict[str, Any] = {"error": {"code": error.code, "message": message}}
    if graphql:
        body = {"errors": [{"message": message, "extensions": extensions(error)}]}
    headers = {"Retry-After": RETRY_AFTER} if code == 503 else {"WWW-Authenticate": "Bearer"} if code == 401 else {}
    return Response(orjson.dumps(body), code, headers, media_type="application/json")


class Errors:
    """Answers errors that leave an endpoint; a fault of ours is masked and logged."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and see to it that an answer is sent whatever happens."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except LineageError as error:
            answer = response(error, graphql=scope["path"] == "/graphql")
        except Exception as error:  # noqa: BLE001  # the last place where a fault can be kept from the client
            message, _ = fault(error)
            answer = response(LineageError(message), graphql=scope["path"] == "/graphql")
        else:
            return
        if not started:
            await answer(scope, receive, send)
