"""`lineage audit`: an audit on a terminal, in a file, or beside one of before."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lineage.artifacts import ArtifactKind
from lineage.cli import asking, printing
from lineage.client import Audit, Client
from lineage.errors import InvalidInput


def audit(client: Client, what: str, *, namespace: str, as_json: bool, export: Path | None, check: Path | None) -> bool:
    """Print the audit of a model, write and compare it as asked; return whether it is complete and as it was."""
    before = _read(check) if check else None
    found = client.audit(asking.find(client, what, namespace=namespace, kind=ArtifactKind.MODEL))
    if export:
        export.write_text(_written(client, found, export))
    changes = list(_changes(before, found.export)) if before else []
    if as_json:
        printing.as_json(found if before is None else {"audit": found, "changes": changes})
    else:
        printing.audit(found)
        if before is not None:
            printing.out.print(f"Since {check}: {len(changes)} changes" if changes else f"As it was in {check}")
        for each in changes:
            printing.out.print(f"  {each['change']} {each['what']}", markup=False)
    return found.complete and not changes


def _written(client: Client, found: Audit, target: Path) -> str:
    if target.suffix == ".html":
        return found.to_html()
    if target.name.endswith(".prov.json"):
        return json.dumps(client.prov(found.model), indent=1, ensure_ascii=False)
    if target.suffix == ".json":
        return json.dumps(found.export, indent=1, ensure_ascii=False)
    raise InvalidInput(f"{target.name} says no form; end it with .html, .prov.json or .json", field="export")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        before = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read as an audit: {error}", field="check") from error
    if not isinstance(before, dict) or not {"model", "facts", "gaps", "seal"} <= before.keys():
        raise InvalidInput(f"{path} is no audit that was exported as .json", field="check")
    return before


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """What was said and is said no more, and what is new; nothing when the seals are equal."""
    if before["seal"] == now["seal"]:
        return
    then, since = (_statements(each) for each in (before, now))
    yield from ({"change": "gone", "what": each} for each in then if each not in since)
    yield from ({"change": "new", "what": each} for each in since if each not in then)


def _statements(export: Mapping[str, Any]) -> dict[str, None]:
    """Each fact and each gap as one line, in order; what stands twice stands once."""
    said = [f"model {export['model']['id']}"]
    for fact in export["facts"]:
        value = json.dumps(fact["value"], sort_keys=True, ensure_ascii=False)
        said.append(f"{fact['section']}.{fact['name']} = {value} ({fact['source']})")
    said += [f"gap in {gap['section']}: {gap['message']}" for gap in export["gaps"]]
    return dict.fromkeys(said)
