"""The commands of online scoring."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from lineage.cli.app import AsJson, Home, Namespace, app, client_of

Name = Annotated[str, typer.Argument(help="Name of the deployment; part of the address that rows are sent to.")]


@app.command()
def deploy(
    name: Name,
    model: Annotated[str, typer.Argument(help="Id of the model, or NAME@ALIAS.")],
    follow: Annotated[
        bool, typer.Option("--follow", help="Serve what the alias points to, whenever it moves.")
    ] = False,
    sample: Annotated[
        int, typer.Option(help="Rows to keep of those that it is asked, for `drift --deployment`.", min=0, max=10_000)
    ] = 0,
    replicas: Annotated[int, typer.Option(help="Scoring servers to keep running.", min=1, max=16)] = 1,
    executor: Annotated[str | None, typer.Option(help="What runs them: process or docker.")] = None,
    memory: Annotated[int | None, typer.Option(help="Mebibytes that one may have.", min=16)] = None,
    namespace: Namespace = "default",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is live.")] = True,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Serve a model online; what is live already answers until the new version is healthy."""
    from lineage.cli import printing

    client = client_of(home)
    resources: Mapping[str, Any] | None = {"memory_bytes": memory * 1024 * 1024} if memory else None
    given = {"follow": follow, "sample": sample, "namespace": namespace, "executor": executor, "resources": resources}
    run = client.deploy(name, model, replicas, **given)
    if wait:
        run = client.wait(run, progress=not as_json)
    if as_json:
        printing.as_json(run)
    else:
        print(f"{run.id} {run.state.value}: {client.url}{run.result.get('address', '')}" if wait else run.id)


@app.command()
def undeploy(name: Name, namespace: Namespace = "default", home: Home = None, as_json: AsJson = False) -> None:
    """Let nothing serve under a name any more; requests that are under way are answered."""
    from lineage.cli import printing

    found = client_of(home).undeploy(name, namespace=namespace)
    if as_json:
        printing.as_json({"deployment": found})
    else:
        print(f"{name} is undeployed")


@app.command()
def deployments(
    namespace: Annotated[str | None, typer.Option(help="Only this namespace.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """What is deployed, which version is live, and how it does."""
    from lineage.cli import printing

    found = client_of(home).deployments(namespace=namespace)
    if as_json:
        printing.as_json({"deployments": found})
    else:
        printing.deployments(found)
