"""The paired bootstrap: how sure it is that one model is better than another on the same rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lineage.metrics import METRICS


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What one model said about rows: labels and predictions as they are, scores with a column for each class."""

    labels: Any
    predictions: Any
    scores: Any = None
    classes: Sequence[Any] = ()

    def value(self, metric: str, rows: Any = slice(None)) -> float | None:
        """The value of *metric* on some of the rows, or None where it has none."""
        known = METRICS[metric]
        given = self.scores if known.needs == "score" else self.predictions
        labels = self.labels[rows]
        if given is None or (len(self.classes) and len(np.unique(labels)) < 2):
            return None
        found = float(known.compute(labels, given[rows], self.classes))
        return found if np.isfinite(found) else None


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Between which values the difference lies with the confidence asked for; from *resamples* that had a value."""

    low: float
    high: float
    resamples: int


def interval(
    champion: Scored, challenger: Scored, metric: str, *, resamples: int, confidence: float, seed: int
) -> Interval | None:
    """The percentile interval of challenger less champion; None where the metric has no value on any resample.

    Rows are drawn with replacement, the same for both models: the bootstrap percentile interval of B. Efron and
    R. J. Tibshirani, An Introduction to the Bootstrap (1993), section 13.3, for a paired statistic. The same *seed*
    gives the same interval.
    """
    draw = np.random.default_rng(seed)
    count = len(champion.labels)
    found = []
    for _ in range(resamples):
        rows = draw.integers(0, count, count)
        before, after = champion.value(metric, rows), challenger.value(metric, rows)
        if before is not None and after is not None:
            found.append(after - before)
    if not found:
        return None
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return Interval(low=float(low), high=float(high), resamples=len(found))
