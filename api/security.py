"""Who may speak to the server: host names, origins, the token, the size and the type of what is sent.

No page of another site can start a run through a browser: only JSON bodies may change anything, which a browser
sends to another origin only after asking, and nobody answers that question; the Host header must be a name of
ours, so that a name which was rebound to this machine is refused; an Origin that is not ours is refused as well.
"""

import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from api.errors import response
from lineage.errors import Forbidden, InvalidInput, LimitExceeded, LineageError, Unauthenticated
from lineage.settings import Settings

BODY_LIMIT = 1024 * 1024
#: Bodies of /graphql that carry a source tree or lineage in bulk; the endpoint holds others to BODY_LIMIT.
LARGE_BODY_LIMIT = 12 * 1024 * 1024
SCORING_LIMIT = 16 * 1024 * 1024  # bytes of rows to be scored
FILE_LIMIT = 4 * 1024**3  # bytes of one artifact that a run puts
#: Paths that need no token of the server: the pages themselves, and what has tokens of its own.
OPEN = ("/health", "/static/", "/v1/")
HEADERS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"), (b"x-frame-options", b"DENY"))


class Guard:
    """Refuses what may not pass, before anything of it is read."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings
        given = settings.allowed_hosts.split(",")
        self.hosts = {"localhost", settings.host.lower(), *(name.strip().lower() for name in given if name.strip())}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then serve."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check_host(headers.get("host", ""))
            _check_origin(scope, headers)
            self._check_token(scope, headers)
            limited = _limited(scope, headers, receive)
        except LineageError as error:
            refusal = response(error, graphql=scope["path"] == "/graphql")
            await (WebSocketClose(1008) if scope["type"] == "websocket" else refusal)(scope, receive, send)
            return
        await self.app(scope, limited, _hardened(send) if scope["type"] == "http" else send)

    def _check_host(self, host: str) -> None:
        name = (urlsplit(f"//{host}").hostname or "").lower()
        if name not in self.hosts and not _is_address(name):
            raise Forbidden(f"this server does not answer to the name {name!r}; add it to LINEAGE_ALLOWED_HOSTS")

    def _check_token(self, scope: Scope, headers: Headers) -> None:
        trusted = is_token(self.settings, headers.get("authorization", ""))
        scope.setdefault("state", {})["is_trusted"] = trusted
        # A socket from a browser cannot send headers; it shows the token in its first message instead.
        is_open = scope["path"].startswith(OPEN) or scope["type"] == "websocket" or _is_page(scope, headers)
        if not trusted and not is_open:
            raise Unauthenticated("send the server's token as `Authorization: Bearer …`")


def is_token(settings: Settings, authorization: str) -> bool:
    """Whether *authorization* shows the server's token; anything does where none is set."""
    if not settings.token:
        return True
    scheme, _, token = authorization.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), settings.token.encode())


def check_listening(settings: Settings) -> None:
    """Raise InvalidInput when the server would be open to others without a token."""
    if not settings.is_loopback and not settings.token:
        message = f"listening on {settings.host} lets others in; set LINEAGE_TOKEN, or listen on 127.0.0.1"
        raise InvalidInput(message, field="token")


def is_json(content_type: str) -> bool:
    """Whether a body says that it is JSON, and nothing that a browser sends without asking."""
    return content_type.partition(";")[0].strip().lower() == "application/json"


def _is_address(name: str) -> bool:
    # A page can rebind a name of its own, never an address.
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_page(scope: Scope, headers: Headers) -> bool:
    asks_page = scope["method"] == "GET" and "text/html" in headers.get("accept", "")
    return scope["path"] == "/" or (
        scope["path"] == "/graphql" and asks_page and b"query=" not in scope["query_string"]
    )


def _check_origin(scope: Scope, headers: Headers) -> None:
    origin = headers.get("origin")
    reads = scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}
    if origin is not None and not reads and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        raise Forbidden(f"pages of {origin} may not speak to this server")


def _limited(scope: Scope, headers: Headers, receive: Receive) -> Receive:
    limit = BODY_LIMIT
    if scope["path"] == "/graphql":
        limit = LARGE_BODY_LIMIT
    elif scope["path"].startswith("/deployments/"):
        limit = SCORING_LIMIT
    elif scope["path"].startswith("/v1/artifacts/"):
        limit = FILE_LIMIT
    length, seen = headers.get("content-length", "0"), 0
    if not length.isdecimal() or int(length) > limit:
        raise LimitExceeded(f"the body may have at most {limit} bytes")

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b"")) if message["type"] == "http.request" else 0
        if seen > limit:
            raise LimitExceeded(f"the body may have at most {limit} bytes")
        return message

    return counted


def _hardened(send: Send) -> Send:
    async def hardened(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *HEADERS]
        await send(message)

    return hardened
