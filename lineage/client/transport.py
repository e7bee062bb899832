"""How a document gets to the API and back: over HTTP, again when the server is away, errors as ours."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from lineage import errors
from lineage.errors import LineageError, Unavailable

PAUSES = (0.1, 2.0)  # seconds before the second try, and the longest pause after that
TIMEOUT = 60.0
#: Every error that has a code of its own, by that code; of several the nearest to the root.
ERRORS: dict[str, type[LineageError]] = {
    each.code: each
    for each in (
        errors.NotFound,
        errors.Conflict,
        errors.Forbidden,
        errors.Unauthenticated,
        errors.LimitExceeded,
        errors.Unavailable,
    )
}
NO_SERVER = "no API runs on this data directory; start one with `lineage up`, or set LINEAGE_URL"


class Transport:
    """Sends documents; while the server does not answer they are sent again for up to *patience* seconds."""

    def __init__(self, find: Callable[[], str | None], token: str, *, patience: float) -> None:
        self._find, self._token, self.patience = find, token, patience
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(headers=headers, timeout=TIMEOUT, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The data that answers *document*; raise what the API says went wrong, as one of our errors."""
        return self._patiently(lambda: self._once(document, variables))

    def follow(
        self, document: str, variables: Mapping[str, Any], tell: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        """The data of the last event of a subscription; *tell* hears of each, from the first when it is begun again."""
        return self._patiently(lambda: self._followed(document, variables, tell))

    def _patiently(self, once: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        until, pause = time.monotonic() + self.patience, PAUSES[0]
        while True:
            try:
                return once()
            except Unavailable:
                if time.monotonic() + pause > until:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, PAUSES[1])

    def _followed(
        self, document: str, variables: Mapping[str, Any], tell: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        from lineage.client import sockets  # few calls need it

        url = self._find()
        if not url:
            raise Unavailable(NO_SERVER)
        last: dict[str, Any] = {}
        for last in sockets.events(url, self._token, document, variables, failure=_error):
            tell(last)
        return last

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON that answers *body* at a path beside GraphQL's; raise what it says went wrong."""
        url = self._find()
        if not url:
            raise Unavailable(NO_SERVER)
        try:
            response = self._http.post(f"{url}{path}", json=body)
            answer = response.json()
        except httpx.HTTPError as error:
            raise Unavailable(f"the API at {url} cannot be reached: {error}") from error
        except ValueError as error:
            raise LineageError(f"{url}{path} answered {response.status_code}, and no JSON") from error
        if response.is_success:
            return answer
        problem = answer.get("error") or {"message": answer.get("message")}
        kinds = {400: errors.InvalidInput, 404: errors.NotFound, 503: Unavailable, 504: Unavailable}
        kind = ERRORS.get(str(problem.get("code")), kinds.get(response.status_code, LineageError))
        raise kind(str(problem["message"]))

    def _once(self, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        url = self._find()
        if not url:
            raise Unavailable(NO_SERVER)
        try:
            response = self._http.post(f"{url}/graphql", json={"query": document, "variables": variables})
        except httpx.TimeoutException as error:
            raise Unavailable(f"the API at {url} did not answer within {TIMEOUT:.0f} s") from error
        except httpx.HTTPError as error:
            raise Unavailable(f"the API at {url} cannot be reached: {error}") from error
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict) or ("errors" not in body and "data" not in body):
            kind = Unavailable if response.status_code >= 500 else LineageError
            raise kind(f"{url} answered {response.status_code}, and not as the API would; is LINEAGE_URL right?")
        for problem in body.get("errors") or ():
            raise _error(problem)
        return dict(body["data"])


def _error(problem: Mapping[str, Any]) -> LineageError:
    extensions = problem.get("extensions") or {}
    message, code = str(problem.get("message")), extensions.get("code")
    if code == errors.InvalidInput.code:
        found = errors.InvalidInput(message, field=extensions.get("field"))
        found.nearest = list(extensions.get("nearest") or ())  # the message names them already
        return found
    return ERRORS.get(str(code), LineageError)(message)
