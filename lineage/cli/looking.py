"""How answers about everything look to people."""

from rich.markup import escape

from lineage.cli import printing
from lineage.cli.printing import named, out, table
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
