"""The commands of the life cycle: making things again, from the same or from newer inputs."""

from typing import Annotated

import typer

from lineage.cli.app import AsJson, Home, Namespace, What, app, client_of

Executor = Annotated[str | None, typer.Option(help="Where it runs; by default where the recorded one ran.")]


@app.command()
def reproduce(
    what: What,
    executor: Executor = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the verdict.")] = True,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a model, a training set or predictions again from exactly the recorded inputs, and compare.

    The exit code is 1 when what came out differs in bytes and in numbers.
    """
    from lineage.cli import healing

    client = client_of(home)
    if not healing.reproduce(client, what, executor=executor, namespace=namespace, wait=wait, as_json=as_json):
        raise typer.Exit(1)
