"""Seals: an altered document is found out, and what a later audit says otherwise is named."""

import json
from typing import Any

import pytest

from lineage.audits import seals
from lineage.changes import Change
from lineage.errors import InvalidInput


def document(*facts: tuple[str, str, Any], gaps: tuple[str, ...] = (), verified: bool = True) -> dict[str, Any]:
    """An exported audit with its seal."""
    said = {
        "model": {"id": "model_1", "name": "m", "version": "1"},
        "facts": [{"section": s, "name": n, "value": v, "source": "model_1"} for s, n, v in facts],
        "gaps": [{"section": "code", "message": each} for each in gaps],
        "verified": [{"what": "model m", "digest": "a", "verified": verified, "message": None}],
        "complete": not gaps,
    }
    return {**said, "seal": seals.seal_of(said)}


def test_a_document_survives_writing_and_reading() -> None:
    """What was written is read back intact, whatever the order of the keys and the spaces."""
    given = document(("data", "rows", 3), ("hyperparameters", "C", None), ("metrics", "test.f1", 0.1 + 0.2))

    read = seals.parse(json.dumps(given, indent=3, sort_keys=True))

    assert seals.is_intact(read)
    assert [] == seals.differences(given, read)


@pytest.mark.parametrize("part", ["facts", "gaps", "model"])
def test_an_altered_document_is_found_out(part: str) -> None:
    """Whichever part was changed by hand, the seal no longer fits."""
    given = document(("data", "rows", 3), gaps=("none",))
    other = document(("data", "rows", 4), gaps=("nothing",))
    other["model"] = {"id": "model_2"}

    assert not seals.is_intact({**given, part: other[part]})


def test_each_difference_is_named() -> None:
    """Facts, gaps and bytes that are new, gone or other are told apart."""
    before = document(("data", "rows", 3), ("data", "split", "HASH"), gaps=("old",))
    after = document(("data", "rows", 4), ("runs", "r", "x"), verified=False)

    assert [
        ("data", "rows", Change.CHANGED, 3, 4),
        ("data", "split", Change.REMOVED, "HASH", None),
        ("runs", "r", Change.ADDED, None, "x"),
        ("code", "gap", Change.REMOVED, "old", None),
        ("verified", "model m", Change.CHANGED, True, False),
    ] == [(each.section, each.name, each.change, each.before, each.after) for each in seals.differences(before, after)]


def test_a_value_of_none_is_a_value() -> None:
    """A hyperparameter that is None differs from one that is not there."""
    (found,) = seals.differences(document(), document(("hyperparameters", "depth", None)))

    assert (Change.ADDED, "depth") == (found.change, found.name)


def test_another_model_is_a_difference() -> None:
    """An audit is held against one of the same model."""
    (found,) = seals.differences(document(), {**document(), "model": {"id": "model_2"}})

    assert ("model", "model_1", "model_2") == (found.section, found.before, found.after)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"seal": 3, "model": {"id": "a"}, "facts": [], "gaps": [], "verified": []}',
        '{"seal": "a", "model": {"id": "a"}, "facts": [{}], "gaps": [], "verified": []}',
        '{"seal": NaN}',
    ],
    ids=["empty", "list", "no parts", "deep", "number", "fact without a name", "nan"],
)
def test_what_is_no_audit_is_refused(text: str) -> None:
    """A file of another kind is refused with a word about what is wanted."""
    with pytest.raises(InvalidInput, match="lineage audit MODEL"):
        seals.parse(text)
