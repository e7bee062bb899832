"""Rows held against a signature, where values may be missing."""

from typing import Any

import pandas as pd
import pytest

from executors.inside.requests import Asked, BadRequest
from executors.inside.signature import Signature
from lineage import models

COLUMNS = [
    {"name": "is_new", "type": "BOOLEAN", "nullable": True},
    {"name": "is_ours", "type": "BOOLEAN", "nullable": False},
]


def a_signature() -> Signature:
    """That of two booleans, of which one may be missing."""
    return Signature(models.signature(COLUMNS, task="regression", classes=None)["inputs"])


def asked(names: list[str], *rows: list[Any]) -> Asked:
    """Rows of a request."""
    return Asked(names=names, rows=list(rows))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[True, True], [None, False]], pd.Series([True, None], dtype=object, name="is_new")),
        ([[True, True], [False, False]], pd.Series([True, False], name="is_new")),
    ],
)
def test_a_boolean_that_may_be_missing_is_what_training_saw(rows: list[list[Any]], expected: Any) -> None:
    """With a null among them booleans are objects, as in the training's data frame; else they are booleans."""
    frame = a_signature().table(asked(["is_new", "is_ours"], *rows))

    pd.testing.assert_series_equal(expected, frame["is_new"])


def test_a_boolean_that_may_be_missing_may_be_left_out() -> None:
    """A column that is not required counts as null in every row; the other one is asked for, and takes no null."""
    frame = a_signature().table(asked(["is_ours"], [True], [False]))

    assert [None, None] == frame["is_new"].tolist()
    with pytest.raises(BadRequest, match="missing: is_ours"):
        a_signature().table(asked(["is_new"], [True]))
    with pytest.raises(BadRequest, match=r"column 'is_ours', row 0: None is not true or false$"):
        a_signature().table(asked(["is_new", "is_ours"], [True, None]))
    with pytest.raises(BadRequest, match=r"column 'is_new', row 0: 'yes' is not true or false or null"):
        a_signature().table(asked(["is_new", "is_ours"], ["yes", True]))


def test_csv_has_nulls_of_booleans_too() -> None:
    """In text an empty value is null."""
    frame = a_signature().table(asked(["is_new", "is_ours"], [None, "true"], ["False", "true"]), from_text=True)

    assert [None, False] == frame["is_new"].tolist()
