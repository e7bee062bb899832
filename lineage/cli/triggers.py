"""The commands of triggers."""

from typing import TYPE_CHECKING, Annotated

import typer

from lineage.cli.app import AsJson, First, Home, Namespace, app, client_of
from lineage.cli.schedules import Spec, parsed
from lineage.errors import NotFound

if TYPE_CHECKING:
    from lineage.client import Trigger

triggers = typer.Typer(no_args_is_help=True, help="Do things when something happens: list, create, pause triggers.")
app.add_typer(triggers, name="trigger")

Which = Annotated[str, typer.Argument(help="Name of the trigger, or its id.")]


@triggers.command("list")
def list_triggers(
    namespace: Annotated[str | None, typer.Option(help="Only this namespace.")] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Show deleted ones too.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Triggers, and what each waits for."""
    from lineage.cli import printing

    found = client_of(home).triggers(namespace=namespace, deleted=deleted)
    if as_json:
        printing.as_json({"triggers": found})
        return
    rows = [
        (each.name, each.event, f"{each.kind}:{each.of or '*'}", each.action, "paused" if each.paused else "")
        for each in found
    ]
    printing.out.print(printing.table(rows, "name", "event", "of", "action", ""))


@triggers.command("create")
def create_trigger(
    name: Annotated[str, typer.Argument(help="Name of the trigger.")],
    event: Annotated[str, typer.Argument(help="What it waits for: new-version, metric, retracted, benchmark-due.")],
    action: Annotated[str, typer.Argument(help="What is done, as the mutation that does it is called: score, …")],
    spec: Spec = "{}",
    of: Annotated[str | None, typer.Option(help="The name that is watched.")] = None,
    kind: Annotated[str | None, typer.Option(help="Its kind, where the event does not say it.")] = None,
    metric: Annotated[str | None, typer.Option(help="With metric: the one that counts.")] = None,
    threshold: Annotated[float | None, typer.Option(help="With metric: the bar, instead of the metric's own.")] = None,
    due_after: Annotated[float | None, typer.Option(help="With benchmark-due: seconds since it was run last.")] = None,
    debounce: Annotated[float, typer.Option(help="Seconds of quiet that an event waits for.", min=0)] = 0,
    overlap: Annotated[str, typer.Option(help="While the one before goes on: skip, queue, cancel.")] = "queue",
    paused: Annotated[bool, typer.Option("--paused", help="Do not fire it until it is resumed.")] = False,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Do an action whenever something happens."""
    made = client_of(home).create_trigger(
        name,
        event,
        action,
        parsed(spec),
        of=of,
        kind=kind,
        metric=metric,
        threshold=threshold,
        due_after=due_after,
        namespace=namespace,
        debounce=debounce,
        overlap=overlap,
        paused=paused,
    )
    _show(made, as_json)


@triggers.command("pause")
def pause_trigger(which: Which, namespace: Namespace = "default", home: Home = None, as_json: AsJson = False) -> None:
    """Let a trigger fire no more until it is resumed."""
    _show(client_of(home).pause_trigger(which, namespace=namespace), as_json)


@triggers.command("resume")
def resume_trigger(which: Which, namespace: Namespace = "default", home: Home = None, as_json: AsJson = False) -> None:
    """Let a trigger fire again, for what happens from now on."""
    _show(client_of(home).resume_trigger(which, namespace=namespace), as_json)


@triggers.command("delete")
def delete_trigger(which: Which, namespace: Namespace = "default", home: Home = None, as_json: AsJson = False) -> None:
    """Let a trigger fire no more; what it fired stays in the graph."""
    _show(client_of(home).delete_trigger(which, namespace=namespace), as_json)


@triggers.command("history")
def history(
    which: Which,
    first: First = 20,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """What a trigger has fired, the newest first, and what that has started."""
    from lineage.cli import firings

    client = client_of(home)
    known = client.triggers(namespace=namespace, deleted=True)
    named = [each for each in known if which in {each.id, each.name}]
    if not named:
        raise NotFound(f"there is no trigger {which!r} in {namespace!r}")
    there = next((each for each in named if each.deleted_at is None), named[-1])
    firings.listed(client.firings(there.id, first=first), as_json=as_json)


def _show(trigger: "Trigger", as_json: bool) -> None:
    from lineage.cli import printing

    if as_json:
        printing.as_json(trigger)
        return
    state = "deleted" if trigger.deleted_at else "paused" if trigger.paused else "waits"
    print(f"{trigger.name} {trigger.id}: {trigger.event} of {trigger.kind}:{trigger.of or '*'}, {state}")
