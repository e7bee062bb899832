"""The commands that watch models in use."""

from typing import Annotated, Any

import typer

from lineage.cli.app import AsJson, Home, Namespace, app, client_of

What = Annotated[str, typer.Argument(help="Predictions: their id, NAME, or NAME@ALIAS.")]
Metrics = Annotated[list[str] | None, typer.Option("--metric", help="A metric definition by name; more than once.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the numbers.")]


@app.command()
def drift(
    predictions: Annotated[str | None, typer.Argument(help="Predictions: their id, NAME, or NAME@ALIAS.")] = None,
    deployment: Annotated[
        str | None, typer.Option(help="In their place, a deployment by name that keeps a sample of its rows.")
    ] = None,
    metric: Metrics = None,
    executor: Annotated[
        str | None, typer.Option(help="Where features are computed: on the cluster by spark_yarn, else here.")
    ] = None,
    bins: Annotated[int, typer.Option(help="Bins that numbers are cut into.", min=2, max=50)] = 10,
    wait: Wait = True,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """How far what a model was given has moved from what it has learned from, column by column.

    The exit code is 1 when a bar of a metric was missed.
    """
    client = client_of(home)
    made, metrics = _found(client, predictions, metric, namespace)
    given: Any = {"executor": executor} if executor else {}
    run = client.measure_drift(made, metrics, deployment=deployment, namespace=namespace, bins=bins, **given)
    _show(client, run, wait=wait, as_json=as_json)


@app.command()
def quality(
    predictions: What,
    metric: Metrics = None,
    label: Annotated[str | None, typer.Option(help="The feature that tells the labels, where it is another.")] = None,
    wait: Wait = True,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """How good predictions were that were made before their labels were there.

    The exit code is 1 when a bar of a metric was missed.
    """
    from lineage.artifacts import ArtifactKind
    from lineage.cli.asking import find

    client = client_of(home)
    told = find(client, label, namespace=namespace, kind=ArtifactKind.FEATURE) if label else None
    run = client.measure_quality(*_found(client, predictions, metric, namespace), label=told)
    _show(client, run, wait=wait, as_json=as_json)


def _found(client: Any, predictions: str | None, metrics: list[str] | None, namespace: str) -> tuple[Any, list[Any]]:
    from lineage.artifacts import ArtifactKind
    from lineage.cli.asking import find

    made = find(client, predictions, namespace=namespace, kind=ArtifactKind.PREDICTIONS) if predictions else None
    kind = ArtifactKind.METRIC_DEFINITION
    return made, [find(client, each, namespace=namespace, kind=kind) for each in metrics or ()]


def _show(client: Any, run: Any, *, wait: bool, as_json: bool) -> None:
    from lineage.cli import printing

    if not wait:
        printing.as_json({"run": run.id}) if as_json else print(run.id)
        return
    found = client.wait(run, progress=not as_json).made("Evaluation")
    if as_json:
        printing.as_json({"run": run.id, "evaluation": found})
    else:
        printing.watched(found)
    if found.body["passed"] is False:
        raise typer.Exit(1)
