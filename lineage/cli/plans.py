"""`lineage heal`, `lineage retrain`, `lineage plan`: what depends on something wrong is made again."""

from typing import Annotated, Any

import typer

from lineage.cli.app import AsJson, Home, Namespace, What, app, client_of

plans = typer.Typer(no_args_is_help=True, help="Plans of what is made again: list, show, execute, cancel.")
app.add_typer(plans, name="plan")

Whats = Annotated[list[str], typer.Argument(help="What is wrong: ids, KIND:NAME, KIND:NAME:VERSION, KIND:NAME@ALIAS.")]
Pins = Annotated[list[str] | None, typer.Option("--pin", help="A version of an input to take; may be repeated.")]
Newest = Annotated[list[str] | None, typer.Option("--newest", help="A kind of input to renew; may be repeated.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the plan is over.")]
PlanId = Annotated[str, typer.Argument(help="Id of the plan.")]


@app.command()
def heal(
    what: Whats,
    pin: Pins = None,
    newest: Newest = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Execute the plan without asking.")] = False,
    wait: Wait = True,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Plan the making again of all that is in use and depends on WHAT, and execute it when you say so.

    With --json and without --yes the plan is written down and printed, and nothing is started. The exit code is 1 when
    nothing can be made again, or when the plan has not succeeded.
    """
    from lineage.cli import asking, healing

    client = client_of(home)
    wrong, pins = ([asking.find(client, each, namespace=namespace) for each in given] for given in (what, pin or ()))
    made = client.plan_retraining(*wrong, pins=pins, newest=_kinds(newest))
    if not as_json:
        healing.plan(made)
    if all(step.blockers for step in made.steps):
        healing.blocked(made, as_json=as_json)
        raise typer.Exit(1)
    if not yes and (as_json or not typer.confirm("Execute it?")):
        healing.left(made, as_json=as_json)
        return
    _end(client, client.execute_plan(made), wait=wait, as_json=as_json)


@app.command()
def retrain(
    what: What,
    pin: Pins = None,
    newest: Newest = None,
    wait: Wait = True,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a model again as it was made, from the newest versions of its inputs or those that --pin names."""
    from lineage.artifacts import ArtifactKind
    from lineage.cli import asking

    client = client_of(home)
    model = asking.find(client, what, namespace=namespace, kind=ArtifactKind.MODEL)
    pins = [asking.find(client, each, namespace=namespace) for each in pin or ()]
    _end(client, client.retrain(model, pins=pins, newest=_kinds(newest)), wait=wait, as_json=as_json)


@plans.command("list")
def list_plans(home: Home = None, as_json: AsJson = False) -> None:
    """The plans, the newest first."""
    from lineage.cli import healing, printing

    found = client_of(home).plans()
    printing.as_json({"plans": found}) if as_json else healing.plans(found)


@plans.command()
def show(id: PlanId, home: Home = None, as_json: AsJson = False) -> None:
    """One plan with its steps."""
    from lineage.cli import healing, printing

    found = client_of(home).plan(id)
    printing.as_json(found) if as_json else healing.plan(found)


@plans.command()
def execute(id: PlanId, wait: Wait = True, home: Home = None, as_json: AsJson = False) -> None:
    """Start a plan, or go on with one that has failed or was cancelled: what has succeeded stays."""
    client = client_of(home)
    _end(client, client.execute_plan(id), wait=wait, as_json=as_json)


@plans.command()
def cancel(id: PlanId, home: Home = None, as_json: AsJson = False) -> None:
    """Ask a plan to stop; what was made stays."""
    from lineage.cli import healing, printing

    found = client_of(home).cancel_plan(id)
    printing.as_json(found) if as_json else healing.plan(found)


def _kinds(given: list[str] | None) -> list[str] | None:
    from lineage.cli import healing

    return None if given is None else [healing.kind(each) for each in given]


def _end(client: Any, started: Any, *, wait: bool, as_json: bool) -> None:
    from lineage.cli import healing

    if not healing.followed(client, started, wait=wait, as_json=as_json):
        raise typer.Exit(1)
