"""The seal of an exported audit: whether a document is as it was sealed, and what a later audit says differently."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lineage.artifacts import canonical, digest_of
from lineage.changes import Change
from lineage.errors import InvalidInput

Document = Mapping[str, Any]
Key = tuple[str, str, str | None]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A statement that two audits do not share; *before* and *after* are None where it is not made."""

    section: str
    name: str
    change: Change
    before: Any = None
    after: Any = None


def parse(text: str | bytes) -> Document:
    """The exported audit that *text* holds; raise InvalidInput when it is none."""
    try:
        document = json.loads(text, parse_constant=_refuse)
        _require_shape(document)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        message = f"this is no audit as `lineage audit MODEL --export FILE.json` writes it: {error!r:.200}"
        raise InvalidInput(message, field="check") from error
    return dict(document)


def seal_of(document: Document) -> str:
    """The sha256 of what *document* says, in canonical JSON; the one it carries equals it unless it was altered."""
    said = {"model": document["model"]["id"], "facts": document["facts"], "gaps": document["gaps"]}
    return digest_of(said)


def is_intact(document: Document) -> bool:
    """Whether *document* says what it was sealed with."""
    return bool(seal_of(document) == document["seal"])


def differences(earlier: Document, later: Document) -> list[Difference]:
    """What *later* says otherwise than *earlier*: the model, facts, gaps, and bytes that both read again."""
    found = [*_differ(_facts(earlier), _facts(later)), *_differ(_gaps(earlier), _gaps(later))]
    before, after = _verified(earlier), _verified(later)
    both = before.keys() & after.keys()
    found += _differ({key: before[key] for key in both}, {key: after[key] for key in both})
    if earlier["model"]["id"] != later["model"]["id"]:
        ids = {"before": earlier["model"]["id"], "after": later["model"]["id"]}
        found.insert(0, Difference(section="model", name="id", change=Change.CHANGED, **ids))
    return found


def _differ(before: Mapping[Key, Sequence[Any]], after: Mapping[Key, Sequence[Any]]) -> Iterator[Difference]:
    for key in sorted(before.keys() | after.keys(), key=lambda key: (key[0], key[1], key[2] or "")):
        old, new = before.get(key), after.get(key)
        if old is not None and new is not None and sorted(map(canonical, old)) == sorted(map(canonical, new)):
            continue
        change = Change.ADDED if old is None else Change.REMOVED if new is None else Change.CHANGED
        yield Difference(section=key[0], name=key[1], change=change, before=_one(old), after=_one(new))


def _one(values: Sequence[Any] | None) -> Any:
    return values[0] if values and len(values) == 1 else values


def _facts(document: Document) -> dict[Key, list[Any]]:
    found: dict[Key, list[Any]] = defaultdict(list)
    for each in document["facts"]:
        found[each["section"], each["name"], each["source"]].append(each["value"])
    return found


def _gaps(document: Document) -> dict[Key, list[Any]]:
    return {(each["section"], "gap", each["message"]): [each["message"]] for each in document["gaps"]}


def _verified(document: Document) -> dict[Key, list[Any]]:
    return {("verified", each["what"], each["digest"]): [each["verified"]] for each in document["verified"]}


def _require_shape(document: Any) -> None:
    """Raise KeyError, TypeError or ValueError when *document* has not the parts of an audit."""
    texts = [document["seal"], document["model"]["id"]]
    for part, names in (("facts", ("section", "name")), ("gaps", ("section", "message"))):
        texts += [each[name] for each in document[part] for name in names]
    texts += [each[name] for each in document["verified"] for name in ("what", "digest")]
    texts += [each["source"] for each in document["facts"] if each["source"] is not None]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a name, a section, a message or the seal is no text")
    canonical([each["value"] for each in document["facts"]]).encode()
    if not all(isinstance(each["verified"], bool) for each in document["verified"]):
        raise ValueError("a digest is neither verified nor not")


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")
