"""What the commands of the life cycle do and print."""

from datetime import timedelta

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from lineage.artifacts import ArtifactKind
from lineage.cli import printing
from lineage.cli.asking import find
from lineage.cli.printing import out, table
from lineage.client import Artifact, Client, Reproduction
from lineage.client.plans import Plan, PlanStep
from lineage.errors import InvalidInput
from lineage.plans import PlanState, StepState
from lineage.reproducibility import Reproduced

WORDS = {
    Reproduced.EQUAL: "[green]equal[/green]: the same bytes",
    Reproduced.EQUIVALENT: "[green]equivalent[/green]: other bytes, the same numbers",
    Reproduced.DIFFERENT: "[red]different[/red]",
}
SHORT = 12  # hex digits of a digest that a table shows


def reproduce(client: Client, what: str, *, executor: str | None, namespace: str, wait: bool, as_json: bool) -> bool:
    """Make *what* again and print the verdict; False when it differs."""
    artifact = find(client, what, namespace=namespace, kind=ArtifactKind.MODEL)
    run = client.reproduce(artifact, executor=executor)
    if not wait:
        printing.as_json(run) if as_json else print(run.id)
        return True
    client.wait(run, progress=not as_json)
    found = next(each for each in client.reproductions(artifact) if each.run.id == run.id)
    printing.as_json(found) if as_json else verdict(artifact, found)
    return found.verdict is not Reproduced.DIFFERENT


def verdict(artifact: Artifact, found: Reproduction) -> None:
    """Print how what was made again compares with *artifact*."""
    out.print(f"{escape(str(artifact))} made again is {WORDS[found.verdict]}")
    rows = [(each.what, _short(each.recorded), _short(each.reproduced)) for each in found.digests]
    out.print(table(rows, "file", "recorded", "made again"))
    apart = [each for each in found.metrics if each.difference != 0]
    if apart:
        metrics = [(each.metric, each.recorded, each.reproduced, each.difference) for each in apart]
        out.print(table(metrics, "metric", "recorded", "made again", "difference"))
    if found.surroundings:
        places = [(each.name, each.recorded, each.reproduced) for each in found.surroundings]
        out.print(table(places, "place", "recorded", "made again"))


def _short(digest: str | None) -> str | None:
    return digest and digest[:SHORT]


COLORS = {StepState.SUCCEEDED: "green", StepState.RUNNING: "cyan", StepState.WAITING: "default"}


def kind(word: str) -> str:
    """The name that the API has for a kind of artifact, however it is spelled; raise InvalidInput for another word."""
    plain = word.replace("_", "").replace("-", "").lower()
    found = next((each.name for each in ArtifactKind if each.value.lower() == plain), None)
    if found is None:
        raise InvalidInput.unknown("kind", word, [each.value for each in ArtifactKind], field="newest")
    return found


def plan(found: Plan) -> None:
    """Print a plan with its steps."""
    wrong = ", ".join(str(each) for each in found.of)
    out.print(f"{found.id} {found.state.value}: {found.reason.value.lower()} {escape(wrong)}")
    out.print(_steps(found))
    if found.seconds is not None:
        work = f", {_time(found.work_seconds)} of work" if found.work_seconds != found.seconds else ""
        out.print(f"It takes about {_time(found.seconds)}{work}, by what it took before.")


def plans(found: list[Plan]) -> None:
    """Print plans as a table."""
    rows = [
        (each.id, each.state.value, each.reason.value, len(each.steps), each.created_at, each.created_by)
        for each in found
    ]
    out.print(table(rows, "plan", "state", "reason", "steps", "created", "by"))


def left(found: Plan, *, as_json: bool) -> None:
    """Say that a plan was written down and not started."""
    if as_json:
        printing.as_json(found)
    else:
        out.print(f"Nothing was started; `lineage plan execute {found.id}` does it later.")


def blocked(found: Plan, *, as_json: bool) -> None:
    """Say that nothing of a plan can be done."""
    if as_json:
        printing.as_json(found)
    else:
        out.print("Nothing can be made again until that is mended; then ask again.")


def followed(client: Client, started: Plan, *, wait: bool, as_json: bool) -> bool:
    """Follow a plan to its end where that is wanted; False when it has not succeeded."""
    if wait:
        words = Console(stderr=True)
        if words.is_terminal and not as_json:
            with Live(_steps(started), console=words, transient=True) as live:
                started = client.wait_for_plan(started, check=False, progress=lambda now: live.update(_steps(now)))
        else:
            started = client.wait_for_plan(started, check=False)
    printing.as_json(started) if as_json else plan(started)
    return not wait or started.state is PlanState.SUCCEEDED


def _steps(found: Plan) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("step", "after", "kind", "name", "state", "takes", ""):
        made.add_column(name, overflow="fold")
    for step in found.steps:
        after = " ".join(str(each) for each in step.after)
        color = COLORS.get(step.state, "red")
        words = (str(step.number), after, step.kind.value, escape(step.name), f"[{color}]{step.state.value}[/{color}]")
        made.add_row(*words, _time(step.seconds), escape(_said(step)))
    return made


def _said(step: PlanStep) -> str:
    if step.blockers:
        return "; ".join(step.blockers)
    if step.message:
        return step.message
    if step.state is StepState.RUNNING and step.progress is not None:
        return f"{step.progress:.0%}"
    return step.made.version if step.made else ""


def _time(seconds: float | None) -> str:
    return "" if seconds is None else str(timedelta(seconds=round(seconds)))
