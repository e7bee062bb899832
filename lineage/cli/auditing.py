"""`lineage audit`: an audit on a terminal, in a file, or beside one of before."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from lineage.artifacts import ArtifactKind
from lineage.audits import seals
from lineage.cli import asking, printing
from lineage.client import Audit, AuditProgress, Client
from lineage.errors import InvalidInput

#: What a file's name says of the form that it is to have; the longer ending comes first.
ENDINGS = (".prov.json", ".json", ".html")


@dataclass(frozen=True, kw_only=True)
class Files:
    """Where an audit is written to, and which of before it is compared with."""

    export: Path | None
    check: Path | None


def audit(
    client: Client,
    what: str,
    *,
    namespace: str,
    as_json: bool,
    verify: bool,
    files: Files,
) -> bool:
    """Print the audit of a model, write and compare it as asked; return whether it is complete and as it was.

    Raise InvalidInput for a file that says no form, cannot be written, or is no audit that is as it was sealed.
    """
    export, check = files.export, files.check
    ending = _ending(export) if export else None
    before = _sealed(check) if check else None
    model = asking.find(client, what, namespace=namespace, kind=ArtifactKind.MODEL)
    with _bar() as tell:
        found = client.audit(model, verify=verify, progress=tell)
    if export and ending:
        _write(export, _written(client, found, ending))
    changes = seals.differences(before, found.export) if before else []
    if as_json:
        printing.as_json(found if before is None else {"audit": found, "changes": changes})
    else:
        printing.audit(found)
        if before is not None:
            printing.out.print(f"{len(changes)} changes since {check}" if changes else f"as it was in {check}")
        for each in changes:
            printing.out.print(f"  {each.change.value} {each.section}.{each.name}{_values(each)}", markup=False)
    return found.complete and not changes


@contextmanager
def _bar() -> Iterator[Callable[[AuditProgress], None]]:
    """What draws, on a terminal's stderr, how many digests are verified."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def tell(step: AuditProgress) -> None:
            bar.update(task, completed=step.done, total=step.total, description=escape(step.reading or ""))

        yield tell


def _ending(target: Path) -> str:
    for ending in ENDINGS:
        if target.name.endswith(ending):
            return ending
    raise InvalidInput(f"{target.name} says no form; end it with {', '.join(ENDINGS)}", field="export")


def _written(client: Client, found: Audit, ending: str) -> str:
    if ending == ".html":
        return found.to_html()
    said = client.prov(found.model) if ending == ".prov.json" else found.export
    return json.dumps(said, indent=1, ensure_ascii=False)


def _write(target: Path, text: str) -> None:
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{target} cannot be written: {error.strerror}", field="export") from error


def _sealed(path: Path) -> seals.Document:
    """An audit of before; one that says something else than it was sealed with proves nothing."""
    try:
        before = seals.parse(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}", field="check") from error
    if not seals.is_intact(before):
        raise InvalidInput(f"{path} was changed since it was sealed: its facts do not have its seal", field="check")
    return before


def _values(each: seals.Difference) -> str:
    said = {"before": each.before, "after": each.after}
    return "".join(f", {name} {json.dumps(value)[:200]}" for name, value in said.items() if value is not None)
