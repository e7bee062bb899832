"""The commands that look over everything: what is stale."""

from datetime import datetime
from typing import Annotated

import typer

from lineage.cli.app import AsJson, Home, Kinds, Namespace, app, client_of

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
