"""How answers look: tables for people, JSON for machines."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lineage.client import Artifact, Audit, Comparison, Deployment, Facets, Rows, Run, Trial, Walk

out = Console(highlight=False)
SHORT = 60  # characters of a value that a table shows


def as_json(value: Any) -> None:
    """Print *value* as JSON."""
    print(json.dumps(plain(value), indent=1, ensure_ascii=False))


def plain(value: Any) -> Any:
    """*value* as JSON knows it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def table(rows: Sequence[Sequence[Any]], *names: str) -> Table:
    """A table of text."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        made.add_column(name, overflow="fold")
    for row in rows:
        made.add_row(*(escape("" if each is None else str(each)) for each in row))
    return made


def deployments(found: Sequence[Deployment]) -> None:
    """Print deployments as a table."""
    rows = [
        (
            each.name,
            each.version,
            each.state,
            f"{each.healthy_replicas}/{each.replicas}",
            each.model.name if each.model else "",
            each.follows or "",
            each.endpoint,
        )
        for each in found
    ]
    out.print(table(rows, "name", "version", "state", "healthy", "model", "follows", "endpoint"))


def named(artifact: Artifact) -> str:
    """The name with its aliases, and whether it was retracted."""
    words = [artifact.name, *(f"@{alias}" for alias in artifact.aliases)]
    return " ".join(words + (["(retracted)"] if artifact.retracted_at else []))


def walk(origin: Artifact, found: Walk, *, verb: str = "depend on") -> None:
    """Print what a walk reached, by distance, and whether that is all."""
    reached(found, f"{verb} {origin}")


def reached(found: Walk, words: str) -> None:
    """Print what a walk reached, by distance, and whether that is all; *words* say what it has in common."""
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(found.counts.items())) or "nothing"
    out.print(f"[bold]{found.total}[/bold] {escape(words)}: {escape(counts)}")
    rows = [
        (each.distance, each.artifact.kind.value, named(each.artifact), each.artifact.version) for each in found.reached
    ]
    if rows:
        out.print(table(rows, "distance", "kind", "name", "version"))
    rest(len(found.reached), found.total)
    if not found.complete:
        out.print(f"this is not all: the walk was cut by {', '.join(found.truncated_by).lower()}")


def facets(origin: Artifact, found: Facets) -> None:
    """Print how many a walk reached, by kind, by who recorded it, by deployment."""
    out.print(f"[bold]{found.total}[/bold] depend on {escape(str(origin))}")
    groups = (("kind", found.kinds), ("recorded by", found.owners), ("live deployment", found.deployments))
    for title, counts in groups:
        if counts:
            out.print(table(sorted(counts.items(), key=lambda each: (-each[1], each[0])), title, "count"))
    if not found.complete:
        out.print(f"this is not all: the walk was cut by {', '.join(found.truncated_by).lower()}")


def audit(found: Audit) -> None:
    """Print whether the record of a model is whole, what it lacks, and which bytes were read again."""
    verdict = "[green]complete[/green]" if found.complete else f"[red]{len(found.gaps)} gaps[/red]"
    checked = [each for each in found.verified_digests if each.verified]
    out.print(
        f"audit of {escape(str(found.model))}: {verdict}; {len(found.facts)} facts, "
        f"{len(checked)} of {len(found.verified_digests)} digests verified"
    )
    if found.gaps:
        out.print(table([(each.section, each.message) for each in found.gaps], "section", "gap"))
    for each in found.verified_digests:
        if not each.verified:
            out.print(f"[red]not verified[/red] {escape(each.what)}: {escape(each.message or each.digest)}")


def watched(found: Artifact) -> None:
    """Print what was seen of a model in use: its values, the bars that it missed, and each column's drift."""
    body = found.body
    missing = f", {body['unmatched']} predictions without a label" if "unmatched" in body else ""
    out.print(f"{escape(found.name)}: {body['rows']} rows{missing}")
    bars = {each["metric"]: each for each in body["verdicts"]}
    rows = [
        (
            name,
            _number(value),
            (bars.get(name) or {}).get("threshold"),
            _passed(bars.get(name)),
            body["notes"].get(name),
        )
        for name, value in body["values"].items()
    ]
    out.print(table(rows, "metric", "value", "threshold", "", ""))
    columns = sorted(body.get("columns", ()), key=lambda each: -(each["psi"] or 0))
    if columns:
        shown = [(each["name"], *map(_number, (each["psi"], each["statistic"], each["p_value"]))) for each in columns]
        tests = [(each["test"] or each["note"]) for each in columns]
        out.print(table([(*row, test) for row, test in zip(shown, tests, strict=True)], *DRIFT))


DRIFT = ("column", "psi", "statistic", "p value", "test")


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.4g}"


def _passed(verdict: Mapping[str, Any] | None) -> str | None:
    return None if verdict is None else "reached" if verdict["passed"] else "missed"


def comparison(found: Comparison) -> None:
    """Print what differs between two artifacts, and what both come from."""
    out.print(f"{escape(str(found.a))} and {escape(str(found.b))}: {len(found.differences)} differences")
    rows = [(each.section, each.name, _short(each.a), _short(each.b), each.delta) for each in found.differences]
    if rows:
        out.print(table(rows, "section", "name", "first", "second", "delta"))
    for each in found.differences:
        if each.text:
            out.print(escape(each.text))
    if found.ancestors:
        out.print(f"both come from {escape(', '.join(str(each) for each in found.ancestors))}")
    if found.omitted_files:
        out.print(f"[red]{found.omitted_files} more files differ[/red]")
    elif not found.complete:
        out.print("[red]one of them depends on more than was read[/red]")


def _short(value: Any) -> str | None:
    text = None if value is None else str(value)
    return text if text is None or len(text) <= SHORT else f"{text[:SHORT]}…"


def runs(found: Rows[Run]) -> None:
    """Print runs, one a line."""
    if not found:
        out.print("no runs")
        return
    rows = [
        (each.id, each.kind.value, each.state.value, each.spec.get("name"), _time(each.created_at)) for each in found
    ]
    out.print(table(rows, "id", "kind", "state", "name", "created"))
    rest(len(found), found.total)


def run(found: Run, trials: Sequence[Trial]) -> None:
    """Print one run with what it used and made, and its trials."""
    facts = [(name, _fact(getattr(found, name))) for name in RUN_FACTS if getattr(found, name) is not None]
    out.print(table(facts, "", ""), highlight=False)
    for title, members in (("used", found.used), ("made", found.generated)):
        if members:
            out.print(f"[bold]{title}[/bold]")
            out.print(
                table([(each.kind.value, named(each), each.version) for each in members], "kind", "name", "version")
            )
    if trials:
        out.print("[bold]trials[/bold]")
        rows = [(each.number, each.state, each.value, json.dumps(each.params), each.error) for each in trials]
        out.print(table(rows, "number", "state", "value", "params", "error"))


RUN_FACTS = (
    "id",
    "kind",
    "state",
    "reason",
    "message",
    "executor",
    "attempt",
    "phase",
    "application",
    "tracking_url",
    "created_by",
    "created_at",
    "started_at",
    "ended_at",
)


def _fact(value: Any) -> str:
    return _time(value) if isinstance(value, datetime) else str(plain(value))


def _time(at: datetime | None) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else ""


def rest(shown: int, total: int) -> None:
    """Print how many more there are than were shown."""
    if shown < total:
        out.print(f"and {total - shown} more (--first shows more)")
