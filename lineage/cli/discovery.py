"""The commands that look over everything: search, namespaces, what is stale, what runs on a package."""

import json
from datetime import datetime
from typing import Annotated, Any

import typer

from lineage.cli.app import AsJson, First, Home, Kinds, Namespace, app, client_of
from lineage.errors import InvalidInput

AsOf = Annotated[datetime | None, typer.Option(help="As the graph was at this instant, UTC.")]


@app.command()
def stale(
    what: Annotated[str | None, typer.Argument(help="One artifact (see impact); without it, a namespace.")] = None,
    kind: Kinds = None,
    every: Annotated[bool, typer.Option("--every", help="All versions, not only those in use.")] = False,
    as_of: AsOf = None,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """What was made of superseded data, code or environments, and what to redo in which order."""
    from lineage.cli import asking, looking, printing

    client = client_of(home)
    if what is None:
        found = client.freshness(namespace=namespace, kinds=kind or [], every=every, as_of=as_of)
    else:
        found = client.freshness(asking.find(client, what, namespace=namespace), as_of=as_of)
    printing.as_json(found) if as_json else looking.freshness(found)


@app.command()
def package(
    requirement: Annotated[str, typer.Argument(help="A name with a specifier of PEP 440: 'scikit-learn<1.5'.")],
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="What to show; by default Environment, Model, Deployment.")
    ] = None,
    live: Annotated[bool | None, typer.Option(help="Only what serves, or what that depends on; or all else.")] = None,
    first: First = 100,
    as_of: AsOf = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """What runs on these versions of a package: environments, models, deployments of all namespaces."""
    from lineage.cli import looking, printing
    from lineage.client.packages import RUNNING

    found = client_of(home).packages(requirement, kinds=kind or RUNNING, first=first, as_of=as_of, live=live)
    printing.as_json(found) if as_json else looking.packages(requirement, found)


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="Words to look for; without any, all that the options let through.")] = "",
    kind: Kinds = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only with this tag; may be given more than once.")] = None,
    namespace: Annotated[str | None, typer.Option(help="Only in this namespace.")] = None,
    alias: Annotated[str | None, typer.Option(help="Only what this alias points to.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only what this one has recorded.")] = None,
    live: Annotated[bool | None, typer.Option(help="Only what serves, or what that depends on; or all else.")] = None,
    property: Annotated[str | None, typer.Option(help="KEY=VALUE that stands in the body, such as format=csv.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Recorded at this instant, UTC, or later.")] = None,
    before: Annotated[datetime | None, typer.Option(help="Recorded before this instant, UTC.")] = None,
    count: Annotated[bool, typer.Option("--count", help="Count alone, by kind, namespace, owner and tag.")] = False,
    first: First = 20,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Find artifacts by words in names, descriptions, tags, columns and SQL; the best names, the most used first."""
    from lineage.cli import looking, printing

    filter = {
        "tags": tag or None,
        "namespace": namespace,
        "alias": alias,
        "created_by": owner,
        "live": live,
        "property": _pair(property) if property else None,
        "created_since": since,
        "created_before": before,
    }
    client = client_of(home)
    if count:
        facets = client.search_facets(text, kinds=kind or [], **filter)
        printing.as_json(facets) if as_json else looking.facets(facets)
        return
    found = client.search(text, kinds=kind or [], first=first, **filter)
    printing.as_json({"total": found.total, "artifacts": list(found)}) if as_json else looking.found(found)


@app.command()
def namespaces(home: Home = None, as_json: AsJson = False) -> None:
    """The namespaces, with how many names and versions of each kind are in them."""
    from lineage.cli import looking, printing

    found = client_of(home).namespaces()
    printing.as_json({"namespaces": found}) if as_json else looking.namespaces(found)


def _pair(text: str) -> tuple[str, Any]:
    """The key and the value of KEY=VALUE; what is no JSON is a text."""
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise InvalidInput(f"{text!r} has not the form KEY=VALUE", field="property")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
