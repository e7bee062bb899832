"""The commands that ask: each prints a table for people, or JSON for machines."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from lineage.artifacts import ArtifactKind
from lineage.cli import printing
from lineage.client import Artifact, Client
from lineage.errors import InvalidInput, NotFound
from lineage.runs import RunKind, RunState

FOLLOW_SECONDS = 0.5
NAMED = re.compile(r"(?P<kind>[A-Za-z_-]+):(?P<name>[^@]+?)(:(?P<version>[0-9a-f]{6,})|(?P<alias>@[\w-]+))?")


def find(client: Client, what: str, *, namespace: str, kind: ArtifactKind | None = None) -> Artifact:
    """The artifact that *what* means: an id, KIND:NAME, KIND:NAME:VERSION, KIND:NAME@ALIAS; raise NotFound.

    Args:
        kind: the kind that is meant when *what* is a bare name.
    """
    matched = NAMED.fullmatch(what)
    if matched:
        version = matched["version"] or matched["alias"]
        return client.artifact(matched["kind"], matched["name"], version, namespace=namespace)
    if kind is not None and "_" not in what:
        name, at, alias = what.partition("@")
        return client.artifact(kind, name, at + alias or None, namespace=namespace)
    try:
        return client.node(what)
    except NotFound as error:
        if kind is not None:
            name, at, alias = what.partition("@")
            return client.artifact(kind, name, at + alias or None, namespace=namespace)
        hint = "name it by its id or as KIND:NAME, such as Column:flights.dep_delay"
        raise NotFound(f"{error}; {hint}") from error


def impact(
    client: Client,
    what: str,
    *,
    bounds: Mapping[str, Any],
    first: int,
    namespace: str,
    count: bool,
    every: bool,
    as_json: bool,
) -> None:
    """Print what depends on *what*: the nearest, with *count* how many alone, with *every* all as lines of JSON."""
    origin = find(client, what, namespace=namespace)
    if every:
        for row in client.rows(origin, **bounds):
            print(json.dumps(row, ensure_ascii=False))
    elif count:
        facets = client.facets(origin, **bounds)
        printing.as_json({"of": origin, "facets": facets}) if as_json else printing.facets(origin, facets)
    else:
        walk = client.impact(origin, first=first, **bounds)
        printing.as_json({"of": origin, "walk": walk}) if as_json else printing.walk(origin, walk)


def compare(client: Client, a: str, b: str, *, namespace: str, as_json: bool) -> None:
    """Print what differs between two artifacts."""
    found = client.compare(find(client, a, namespace=namespace), find(client, b, namespace=namespace))
    if as_json:
        printing.as_json(found)
    else:
        printing.comparison(found)


def list_runs(client: Client, *, kinds: Sequence[str], states: Sequence[str], first: int, as_json: bool) -> None:
    """Print the newest runs."""
    for each in kinds:
        if each.upper() not in set(RunKind):
            raise InvalidInput.unknown("kind of run", each.upper(), list(RunKind), field="kind")
    for each in states:
        if each.upper() not in set(RunState):
            raise InvalidInput.unknown("state", each.upper(), list(RunState), field="state")
    found = client.runs(kinds=kinds, states=states, first=first)
    if as_json:
        printing.as_json({"total": found.total, "runs": list(found)})
    else:
        printing.runs(found)


def show_run(client: Client, id: str, *, as_json: bool) -> None:
    """Print one run."""
    run = client.run(id)
    trials = client.trials(id) if run.trial_counts else []
    if as_json:
        printing.as_json({"run": run, "trials": list(trials)})
    else:
        printing.run(run, trials)


def show_log(client: Client, id: str, *, follow: bool, as_json: bool) -> None:
    """Print the log of a run, and with *follow* what is added to it until the run is over."""
    position, whole = 0, ""
    while True:
        over = not follow or client.run(id).is_over  # asked first, so that nothing said before the end is missed
        text, position = client.log(id, after=position)
        whole += text
        if not as_json:
            print(text, end="", flush=True)
        if over and not text:
            break
        if not text:
            time.sleep(FOLLOW_SECONDS)
    if as_json:
        printing.as_json({"run": id, "log": whole})


def cancel_run(client: Client, id: str, *, as_json: bool) -> None:
    """Ask a run to stop."""
    run = client.cancel_run(id)
    if as_json:
        printing.as_json(run)
    else:
        print(f"{run.id} {run.state.value}" + ("" if run.is_over else "; it stops at its next heartbeat"))
