"""How answers about everything look to people."""

from collections.abc import Sequence

from rich.markup import escape

from lineage.cli import printing
from lineage.cli.printing import named, out, table
from lineage.client import Artifact, Namespace, Rows, SearchFacets
from lineage.client.freshness import Freshness
from lineage.client.packages import Packages

NEAREST = 3  # superseded inputs of an artifact that a table shows


def freshness(found: Freshness) -> None:
    """Print what is stale, why, and what to redo in which order."""
    out.print(f"[bold]{found.total}[/bold] of {found.checked} are stale")
    rows = []
    for each in found.stale:
        why = [f"{one.input} → {one.newest.version}" for one in each.superseded[:NEAREST]]
        more = [f"and {len(each.superseded) - NEAREST} more"] if len(each.superseded) > NEAREST else []
        causes = ", ".join(each.causes).lower()
        rows.append(
            (each.artifact.kind.value, named(each.artifact), each.artifact.version, causes, "; ".join(why + more))
        )
    if rows:
        out.print(table(rows, "kind", "name", "version", "because of", "superseded"))
        out.print("[bold]to redo, in this order[/bold]")
    for number, step in enumerate(found.steps, start=1):
        with_ = ", ".join(f"{new.name} {new.version}" for _, new in step.replaced)
        note = " (stands on a newer version of itself)" if step.circular else ""
        out.print(f"{number}. {escape(str(step.artifact))}" + (f" with {escape(with_)}" if with_ else "") + note)
    if not found.complete:
        out.print("[red]the namespace has more than was looked at[/red]")


def packages(asked: str, found: Packages) -> None:
    """Print which versions of a package were asked for, what runs on them, and which do not compare."""
    versions = ", ".join(f"{each.version} ({each.namespace})" for each in found.matching) or "none"
    out.print(f"{escape(asked)}: {escape(versions)}; {found.others} others")
    for each, reason in found.incomparable:
        out.print(f"[red]left out[/red] {escape(each.name)}: {escape(reason)}")
    if found.matching:
        printing.reached(found.impact, f"run on {asked}")


def found(artifacts: Rows[Artifact]) -> None:
    """Print what a search has found, one a line, with how many models use it."""
    if not artifacts:
        out.print("nothing found")
        return
    rows = [
        (each.kind.value, each.namespace, named(each), each.version, each.model_count, each.description)
        for each in artifacts
    ]
    out.print(table(rows, "kind", "namespace", "name", "version", "models", "description"))
    printing.rest(len(artifacts), artifacts.total)


def facets(counts: SearchFacets) -> None:
    """Print how what a search finds divides."""
    out.print(f"[bold]{counts.total}[/bold] found")
    groups = (
        ("kind", counts.kinds),
        ("namespace", counts.namespaces),
        ("recorded by", counts.owners),
        ("tag", counts.tags),
    )
    for title, group in groups:
        if group:
            out.print(table(list(group.items()), title, "count"))


def namespaces(spaces: Sequence[Namespace]) -> None:
    """Print the namespaces, one a line, with what is in each."""
    rows = []
    for each in spaces:
        kinds = ", ".join(f"{count} {kind}" for kind, count in each.names.items())
        rows.append((each.name, kinds, each.version_count))
    out.print(table(rows, "namespace", "names", "versions"))
