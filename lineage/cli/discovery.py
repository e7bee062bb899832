"""The commands that look over everything: what is stale, what runs on a package."""

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


@app.command()
def package(
    requirement: Annotated[str, typer.Argument(help="A name with a specifier of PEP 440: 'scikit-learn<1.5'.")],
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="What to show; by default Environment, Model, Deployment.")
    ] = None,
    live: Annotated[bool | None, typer.Option(help="Only what serves, or what that depends on; or all else.")] = None,
    first: Annotated[int, typer.Option(help="How many to show.", min=1, max=500)] = 100,
    as_of: AsOf = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """What runs on these versions of a package: environments, models, deployments of all namespaces."""
    from lineage.cli import looking, printing
    from lineage.client.packages import RUNNING

    found = client_of(home).packages(requirement, kinds=kind or RUNNING, first=first, as_of=as_of, live=live)
    printing.as_json(found) if as_json else looking.packages(requirement, found)
