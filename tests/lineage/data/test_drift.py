"""Drift held against scipy and numpy, on columns of every shape that hypothesis finds."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lineage.data.drift import COUNTS, ColumnDrift, Drift, chi_squared, measure, psi, write
from lineage.errors import InvalidInput

NUMBERS = st.lists(
    st.none() | st.floats(-100, 100, allow_subnormal=False).map(lambda each: round(each, 1)), min_size=1, max_size=80
)
WORDS = st.lists(st.none() | st.sampled_from("abcdefg"), min_size=1, max_size=80)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the two files are written, again and again."""
    return tmp_path_factory.mktemp("drift")


def compared(folder: Path, expected: Any, found: Any, type_: str, **more: Any) -> ColumnDrift:
    """How far one column has moved."""
    for name, values in (("expected", expected), ("found", found)):
        pq.write_table(pa.table({"x": values}), folder / f"{name}.parquet")
    columns = [{"name": "x", "type": type_}]
    return measure(folder / "expected.parquet", folder / "found.parquet", columns, **more).columns[0]


def there(values: list[Any]) -> list[Any]:
    """The values that are not missing."""
    return [each for each in values if each is not None]


@settings(max_examples=20, deadline=None)
@given(expected=NUMBERS, found=NUMBERS)
def test_numbers_are_scipys(folder: Path, expected: list[float | None], found: list[float | None]) -> None:
    """The distance is that of scipy's ks_2samp, its p-value Kolmogorov's limit; the index is numpy's."""
    made = compared(folder, pa.array(expected, pa.float64()), pa.array(found, pa.float64()), "DOUBLE")

    a, b = there(expected), there(found)
    if not a or not b:
        assert (None, None, "one side has no values") == (made.statistic, made.p_value, made.note)
    else:
        with np.errstate(divide="ignore"):  # of the p-value of very few rows, which is not asked for
            statistic = stats.ks_2samp(a, b, method="asymp").statistic
        assert statistic == pytest.approx(made.statistic)
        assert stats.kstwobign.sf(np.sqrt(len(a) * len(b) / (len(a) + len(b))) * statistic) == pytest.approx(
            made.p_value
        )
    edges = np.unique(np.quantile(a, np.arange(1, 10) / 10, method="inverted_cdf")) if a else np.array([])
    counts = [np.bincount(np.searchsorted(edges, each), minlength=len(edges) + 1) for each in (a, b)]
    counts = [np.append(n, each.count(None)) for n, each in zip(counts, (expected, found), strict=True)]
    kept = counts[0] + counts[1] > 0
    p, q = ((each[kept] + 0.5) / (each[kept] + 0.5).sum() for each in counts)
    assert np.sum((q - p) * np.log(q / p)) == pytest.approx(made.psi, abs=1e-12)
    assert (len(expected), len(found)) == (sum(e.expected for e in made.bins), sum(e.found for e in made.bins))


@settings(max_examples=20, deadline=None)
@given(expected=WORDS, found=WORDS)
def test_categories_are_scipys(folder: Path, expected: list[str | None], found: list[str | None]) -> None:
    """The statistic and its p-value are those of scipy's chi2_contingency, a missing value being one of the values."""
    made = compared(folder, pa.array(expected, pa.string()), pa.array(found, pa.string()), "VARCHAR")

    values = sorted({*expected, *found}, key=str)
    counts = np.array([[each.count(value) for value in values] for each in (expected, found)])
    oracle = stats.chi2_contingency(counts, correction=False)
    assert oracle.statistic == pytest.approx(made.statistic, abs=1e-9)
    assert oracle.pvalue == pytest.approx(made.p_value, abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(counts=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=30))
def test_the_index_is_symmetric_and_finite(counts: list[tuple[int, int]]) -> None:
    """It is never below zero, the same from both sides, and zero for the same rows, however many bins are empty."""
    a, b = [each[0] for each in counts], [each[1] for each in counts]

    assert np.isfinite(psi(a, b))
    assert psi(a, b) >= -1e-15
    assert psi(b, a) == pytest.approx(psi(a, b))
    assert 0 == psi(a, a)


SHIFTS: dict[str, tuple[Any, Any, str]] = {
    "whole numbers": (pa.array(range(1000)), pa.array(range(500, 1500)), "BIGINT"),
    "days": (
        pa.array([dt.date(2026, 1, 1) + dt.timedelta(days=n % 90) for n in range(1000)]),
        pa.array([dt.date(2026, 3, 1) + dt.timedelta(days=n % 90) for n in range(1000)]),
        "DATE",
    ),
    "truths": (
        pa.array([n % 2 == 0 for n in range(1000)]),
        pa.array([n % 10 == 0 for n in range(1000)]),
        "BOOLEAN",
    ),
    "words": (pa.array(["a", "b"] * 500), pa.array(["a", "new"] * 500), "VARCHAR"),
    "what went missing": (pa.array([1.0] * 1000), pa.array([1.0, None] * 500), "DOUBLE"),
    "not a number": (pa.array([1.0] * 1000), pa.array([1.0, float("nan")] * 500), "DOUBLE"),
    "infinite": (pa.array(np.arange(1000.0)), pa.array([float("inf"), 1.0] * 500), "DOUBLE"),
}


@pytest.mark.parametrize("what", SHIFTS)
def test_a_shift_is_seen_in_every_type(folder: Path, what: str) -> None:
    """Rows that have moved get an index that says so, and the same rows none."""
    expected, found, type_ = SHIFTS[what]

    assert (compared(folder, expected, found, type_).psi or 0) > 0.25
    same = compared(folder, expected, expected, type_)
    assert (0, True) == (same.psi, same.p_value == pytest.approx(1))


def test_many_values_are_counted_together(folder: Path) -> None:
    """A column with more values than one looks at has a bin for the rest, and every row is counted."""
    values = pa.array([f"town {n % 300}" for n in range(3000)])

    made = compared(folder, values, values, "VARCHAR")

    assert (51, "others", 3000) == (len(made.bins), made.bins[-1].label, sum(each.found for each in made.bins))


def write_counts(path: Path, counts: list[Any]) -> None:
    """A file of counts as a cluster leaves it."""
    types = (pa.int32(), pa.float64(), pa.string(), pa.int64())
    arrays = [pa.array(values, type_) for values, type_ in zip(zip(*counts, strict=True), types, strict=True)]
    pq.write_table(pa.table(dict(zip(COUNTS, arrays, strict=True))), path)


@settings(max_examples=10, deadline=None)
@given(numbers=NUMBERS, words=WORDS)
def test_counts_say_what_rows_say(folder: Path, numbers: list[float | None], words: list[str | None]) -> None:
    """Counted values, as a cluster sends them, give the drift of the rows that were counted."""
    size = min(len(numbers), len(words))
    found = pa.table({"x": pa.array(numbers[:size], pa.float64()), "w": pa.array(words[:size], pa.string())})
    pq.write_table(found, folder / "found.parquet")
    pq.write_table(found.slice(size // 2), folder / "expected.parquet")
    columns = [{"name": "x", "type": "DOUBLE"}, {"name": "w", "type": "VARCHAR"}]
    counts: list[Any] = [(0, each, None, numbers[:size].count(each)) for each in {*numbers[:size]}]
    counts += [(1, None, each, words[:size].count(each)) for each in {*words[:size]}]
    write_counts(folder / "counts.parquet", counts)

    files = {name: folder / f"{name}.parquet" for name in ("expected", "found", "counts")}
    rows = measure(files["expected"], files["found"], columns)

    assert rows == measure(files["expected"], files["counts"], columns, is_counted=True)


def test_instants_are_rounded_once(folder: Path) -> None:
    """Seconds of an instant are the number nearest to its microseconds, which a cluster counts as well."""
    times = [1577881706406445, 1578061064779976, 1579756743272317]
    pq.write_table(pa.table({"t": pa.array(times, pa.timestamp("us", "UTC"))}), folder / "expected.parquet")
    write_counts(folder / "counts.parquet", [(0, each / 1_000_000, None, 1) for each in times])
    columns = [{"name": "t", "type": "TIMESTAMP WITH TIME ZONE"}]

    made = measure(folder / "expected.parquet", folder / "counts.parquet", columns, is_counted=True)

    assert (3, 3, 0.0) == (made.expected_rows, made.rows, made.columns[0].statistic)


def test_rows_of_json_get_the_types_of_training(folder: Path) -> None:
    """Values as a scoring server keeps them become those of the training set; what a column cannot have is missing."""
    types = {"n": "BIGINT", "day": "DATE", "is_new": "BOOLEAN"}
    columns = [{"name": name, "type": type_} for name, type_ in types.items()]
    rows: list[Any] = [[True, "2026-05-04T00:00:00", 3.0, "x"], [None, None, None, "x"]]
    rows.append([False, "n\ud800", 2.5e17, "x"])

    write(rows, ["is_new", "day", "n", "left aside"], columns, folder / "rows.parquet")

    found = pq.read_table(folder / "rows.parquet").to_pylist()
    day = dt.date(2026, 5, 4)
    assert [(3, day, True), (None, None, None), (250_000_000_000_000_000, None, False)] == [
        tuple(row[each["name"]] for each in columns) for row in found
    ]
    with pytest.raises(InvalidInput, match="the rows have no column 'n'"):
        write([[1]], ["m"], columns, folder / "rows.parquet")


def test_what_cannot_be_compared(folder: Path) -> None:
    """Nested values are left out with a reason; no rows, a column that is not there and odd bins are refused."""
    nested = compared(folder, pa.array([[1], [2]]), pa.array([[1], [2]]), "BIGINT[]")
    assert (None, None, "values of type BIGINT[] are not compared") == (nested.psi, nested.test, nested.note)
    with pytest.raises(InvalidInput, match="no rows to compare"):
        compared(folder, pa.array([1.0]), pa.array([], pa.float64()), "DOUBLE")
    with pytest.raises(InvalidInput, match="bins must be between 2 and 50"):
        compared(folder, pa.array([1.0]), pa.array([1.0]), "DOUBLE", bins=1)
    with pytest.raises(InvalidInput, match="y"):
        measure(folder / "expected.parquet", folder / "found.parquet", [{"name": "y", "type": "DOUBLE"}])


def test_the_worst_column_speaks_for_all() -> None:
    """The metrics are those of the worst column, tests count as many as there are, and the reason names the column."""
    far, near, none = (
        ColumnDrift(name="far", type="DOUBLE", psi=0.5, p_value=0.001),
        ColumnDrift(name="near", type="DOUBLE", psi=0.1, p_value=0.4),
        ColumnDrift(name="none", type="DOUBLE[]"),
    )

    values, notes = Drift(expected_rows=9, rows=9, columns=[near, far, none]).values()

    assert {"psi": 0.5, "p_value": 0.002, "drifted_share": 0.5} == values
    assert {"psi": "the worst column is far", "p_value": "the least likely column is far"} == notes
    assert {None} == set(Drift(expected_rows=9, rows=9, columns=[none]).values()[0].values())
    assert (0.0, 1.0) == chi_squared([3], [5])
