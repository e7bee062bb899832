"""The commands of schedules."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineage.cli.app import AsJson, First, Home, Namespace, app, client_of
from lineage.errors import InvalidInput

if TYPE_CHECKING:
    from lineage.client import Schedule

schedules = typer.Typer(no_args_is_help=True, help="Do things again and again: list, create, pause, run schedules.")
app.add_typer(schedules, name="schedule")

Which = Annotated[str, typer.Argument(help="Name of the schedule, or its id.")]
Spec = Annotated[str, typer.Option(help="Input of the action, as a JSON object.")]


@schedules.command("list")
def list_schedules(
    namespace: Annotated[str | None, typer.Option(help="Only this namespace.")] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Show deleted ones too.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Schedules, and when each fires next."""
    from lineage.cli import printing

    found = client_of(home).schedules(namespace=namespace, deleted=deleted)
    if as_json:
        printing.as_json({"schedules": found})
        return
    rows = [
        (each.name, each.cron, each.timezone, each.action, "paused" if each.paused else _local(each.next), each.missed)
        for each in found
    ]
    printing.out.print(printing.table(rows, "name", "cron", "zone", "action", "next", "missed"))


@schedules.command("create")
def create_schedule(
    name: Annotated[str, typer.Argument(help="Name of the schedule.")],
    cron: Annotated[str, typer.Argument(help="'MINUTE HOUR DAY MONTH WEEKDAY', or a word such as @daily.")],
    action: Annotated[str, typer.Argument(help="What is done, as the mutation that does it is called: score, …")],
    spec: Spec = "{}",
    timezone: Annotated[str, typer.Option(help="Time zone whose clocks count, such as Europe/Berlin.")] = "UTC",
    catchup: Annotated[str, typer.Option(help="What becomes of missed instants: none, last, all.")] = "last",
    catchup_limit: Annotated[int, typer.Option(help="How many are made up for with all.", min=1, max=1000)] = 10,
    overlap: Annotated[str, typer.Option(help="While the one before goes on: skip, queue, cancel.")] = "skip",
    paused: Annotated[bool, typer.Option("--paused", help="Do not fire it until it is resumed.")] = False,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Do an action at the instants of a cron expression."""
    made = client_of(home).create_schedule(
        name,
        cron,
        action,
        parsed(spec),
        namespace=namespace,
        timezone=timezone,
        catchup=catchup,
        catchup_limit=catchup_limit,
        overlap=overlap,
        paused=paused,
    )
    _show(made, as_json)


@schedules.command("update")
def update_schedule(
    which: Which,
    cron: Annotated[str | None, typer.Option(help="'MINUTE HOUR DAY MONTH WEEKDAY', or a word such as @daily.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Time zone whose clocks count.")] = None,
    action: Annotated[str | None, typer.Option(help="What is done, as the mutation is called.")] = None,
    spec: Annotated[
        str | None, typer.Option(help="Input of the action, as a JSON object; it replaces all of it.")
    ] = None,
    catchup: Annotated[str | None, typer.Option(help="What becomes of missed instants: none, last, all.")] = None,
    catchup_limit: Annotated[
        int | None, typer.Option(help="How many are made up for with all.", min=1, max=1000)
    ] = None,
    overlap: Annotated[str | None, typer.Option(help="While the one before goes on: skip, queue, cancel.")] = None,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Change what is named of a schedule, and leave the rest."""
    given = {
        "cron": cron,
        "timezone": timezone,
        "action": action,
        "spec": None if spec is None else parsed(spec),
        "catchup": catchup,
        "catchup_limit": catchup_limit,
        "overlap": overlap,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise InvalidInput("nothing is to be changed; name a part of the schedule, such as --cron")
    _show(client_of(home).update_schedule(which, namespace=namespace, **changes), as_json)


@schedules.command("pause")
def pause_schedule(which: Which, namespace: Namespace = "default", home: Home = None, as_json: AsJson = False) -> None:
    """Let a schedule fire no more until it is resumed."""
    _show(client_of(home).pause_schedule(which, namespace=namespace), as_json)


@schedules.command("resume")
def resume_schedule(which: Which, namespace: Namespace = "default", home: Home = None, as_json: AsJson = False) -> None:
    """Let a schedule fire again from now on."""
    _show(client_of(home).resume_schedule(which, namespace=namespace), as_json)


@schedules.command("delete")
def delete_schedule(which: Which, namespace: Namespace = "default", home: Home = None, as_json: AsJson = False) -> None:
    """Let a schedule fire no more; what it fired stays in the graph."""
    _show(client_of(home).delete_schedule(which, namespace=namespace), as_json)


@schedules.command("run")
def run_schedule(
    which: Which,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until what it starts is over.")] = False,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Fire a schedule now.

    With --wait the exit code is 1 when what it has started came to no good end.
    """
    from lineage.cli import firings, printing

    client = client_of(home)
    fired = client.run_schedule(which, namespace=namespace)
    if wait:
        fired = client.wait_for_firing(fired, progress=not as_json)
    if as_json:
        printing.as_json(fired)
    else:
        print(" ".join(each for each in (fired.id, fired.state, firings.started(fired), fired.message) if each))
    if wait and not firings.ended_well(client, fired):
        raise typer.Exit(1)


@schedules.command("history")
def history(
    which: Which,
    first: First = 20,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """What a schedule has fired, the newest first, and what that has started."""
    from lineage.cli import firings

    client = client_of(home)
    source = client.schedule(which, namespace=namespace).id
    firings.listed(client.firings(source, first=first), as_json=as_json)


@schedules.command("next")
def next_instants(
    which: Which,
    count: Annotated[int, typer.Option(help="How many.", min=1, max=100)] = 5,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """When a schedule fires next, on the clocks of its time zone."""
    from zoneinfo import ZoneInfo

    from lineage.cli import printing

    found = client_of(home).schedule(which, namespace=namespace, count=count)
    if as_json:
        printing.as_json({"schedule": found.id, "next": list(found.next)})
        return
    for at in found.next:
        print(at.astimezone(ZoneInfo(found.timezone)).isoformat())
    if not found.next:
        print("never: it is paused" if found.paused else "never")


def parsed(spec: str) -> Mapping[str, Any]:
    """The object that *spec* is as JSON."""
    try:
        found = json.loads(spec)
    except ValueError as error:
        raise InvalidInput(f"--spec is not JSON: {error}", field="spec") from error
    if not isinstance(found, dict):
        raise InvalidInput('--spec must be a JSON object, such as \'{"name": "flights"}\'', field="spec")
    return found


def _show(schedule: "Schedule", as_json: bool) -> None:
    from lineage.cli import printing

    if as_json:
        printing.as_json(schedule)
        return
    state = "deleted" if schedule.deleted_at else "paused" if schedule.paused else f"next {_local(schedule.next)}"
    print(f"{schedule.name} {schedule.id}: {schedule.cron} {schedule.timezone}, {state}")


def _local(instants: tuple[datetime, ...]) -> str:
    return instants[0].astimezone().strftime("%Y-%m-%d %H:%M") if instants else ""
