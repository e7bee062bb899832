"""Gates against MLflow's rules written out anew, and intervals against scipy's bootstrap."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from lineage.cycle.bootstrap import Scored, interval
from lineage.cycle.gates import Bar, GateState, Pair, judge

VALUE = st.integers(-40, 40).map(lambda each: each / 20)
MAYBE = st.none() | VALUE
DRAWS = 300


def reached(bar: Bar, challenger: float, champion: float | None) -> bool | None:
    """What MLflow's validation says, case by case; None where it asks for a baseline that there is not."""
    sign = 1 if bar.greater_is_better else -1
    new, old = Decimal(str(challenger)), Decimal(str(champion)) if champion is not None else None
    if bar.threshold is not None and sign * (new - Decimal(str(bar.threshold))) < 0:
        return False
    if bar.min_absolute_change is None and bar.min_relative_change is None:
        return True
    if old is None:
        return None
    if bar.min_absolute_change is not None and sign * (new - old) < Decimal(str(bar.min_absolute_change)):
        return False
    if bar.min_relative_change is None:
        return True
    if old == 0:
        return sign * new >= Decimal("1e-10")
    return sign * (new - old) / abs(old) >= Decimal(str(bar.min_relative_change))


@settings(max_examples=400, deadline=None)
@given(better=st.booleans(), bars=st.tuples(MAYBE, MAYBE, MAYBE), new=VALUE, old=MAYBE)
def test_the_rules_are_mlflows(
    better: bool, bars: tuple[float | None, float | None, float | None], new: float, old: float | None
) -> None:
    """Threshold, absolute and relative change mean what they mean there; no bar and no champion have their own word."""
    names = ("threshold", "min_absolute_change", "min_relative_change")
    bar = Bar(metric="f1", greater_is_better=better, **dict(zip(names, bars, strict=True)))

    found = judge([bar], {"f1": Pair(challenger=new, champion=old)}, has_champion=old is not None)

    words = {True: GateState.PASSED, False: GateState.REFUSED, None: GateState.NO_CHAMPION}
    expected = GateState.NO_THRESHOLDS if bars == (None, None, None) else words[reached(bar, new, old)]
    assert expected is found.state
    assert bool(found.metrics[0].reasons) == (found.state is GateState.REFUSED)


@pytest.mark.parametrize(("better", "low", "high"), [(True, -0.02, 0.06), (False, -0.06, 0.02)])
def test_who_must_be_sure_looks_at_the_worse_end(better: bool, low: float, high: float) -> None:
    """A gain whose interval reaches beyond zero passes, and is refused where one must be sure."""
    bar = Bar(metric="m", greater_is_better=better, min_absolute_change=0.0)
    new = 0.82 if better else 0.78
    pairs = {"m": Pair(challenger=new, champion=0.8, low=low, high=high, resamples=100)}

    plain = judge([bar], pairs, has_champion=True)
    sure = judge([bar], pairs, has_champion=True, must_be_sure=True)

    assert (GateState.PASSED, GateState.REFUSED) == (plain.state, sure.state)
    assert "surely gains -0.02" in sure.message


def test_a_metric_without_a_value_is_refused() -> None:
    """Nothing passes by being unmeasured, on either side."""
    absolute = Bar(metric="f1", greater_is_better=True, threshold=0.5)
    relative = Bar(metric="f1", greater_is_better=True, min_absolute_change=-0.5)

    missing = judge([absolute], {"f1": Pair(challenger=None)}, has_champion=False)
    unknown = judge([relative], {"f1": Pair(challenger=0.9)}, has_champion=True)

    assert ("f1 has no value", GateState.REFUSED) == (missing.message, missing.state)
    assert GateState.REFUSED is unknown.state


def sides(seed: int, rows: int = 300) -> tuple[Scored, Scored]:
    """Two classifiers of the same rows, the second of them better."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, rows)

    def scored(noise: float) -> Scored:
        positive = np.clip(labels * 0.5 + 0.25 + draw.normal(0, noise, rows), 0, 1)
        scores = np.column_stack([1 - positive, positive])
        return Scored(labels=labels, predictions=(positive > 0.5).astype(int), scores=scores, classes=[0, 1])

    return scored(0.6), scored(0.3)


@pytest.mark.parametrize("metric", ["roc_auc", "accuracy"])
def test_the_interval_is_that_of_scipy(metric: str) -> None:
    """The paired percentile interval agrees with scipy's to the noise of resampling."""
    champion, challenger = sides(1)
    found = interval(champion, challenger, metric, resamples=DRAWS, confidence=0.9, seed=5)

    def difference(rows: np.ndarray) -> float:
        chosen = rows.astype(int)
        if metric == "accuracy":
            hits = [each.predictions == each.labels for each in (challenger, champion)]
            return float(hits[0][chosen].mean() - hits[1][chosen].mean())
        aucs = [roc_auc_score(each.labels[chosen], each.scores[chosen, 1]) for each in (challenger, champion)]
        return float(aucs[0] - aucs[1])

    expected = stats.bootstrap(
        (np.arange(300),),
        difference,
        n_resamples=DRAWS,
        confidence_level=0.9,
        method="percentile",
        vectorized=False,
        rng=np.random.default_rng(9),
    ).confidence_interval

    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.03)
    assert found == interval(champion, challenger, metric, resamples=DRAWS, confidence=0.9, seed=5)


def test_rows_of_one_class_have_no_interval() -> None:
    """Where a metric has no value on any draw there is no interval, and resamples without a value do not count."""
    alone = Scored(labels=np.zeros(9, int), predictions=np.zeros(9, int), scores=np.full((9, 2), 0.5), classes=[0, 1])
    rare = Scored(
        labels=np.array([1] + [0] * 9),
        predictions=np.zeros(10, int),
        scores=np.full((10, 2), 0.5),
        classes=[0, 1],
    )
    some = interval(rare, rare, "roc_auc", resamples=200, confidence=0.9, seed=1)

    assert interval(alone, alone, "roc_auc", resamples=20, confidence=0.9, seed=1) is None
    assert some is not None
    assert (0.0, 0.0) == (some.low, some.high)
    assert 80 < some.resamples < 180
