"""Gates: whether a challenger may take the place of a champion, judged from both sides' numbers on the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

#: What MLflow asks to be gained where the baseline is 0 and a relative change means nothing.
LEAST_GAIN = Decimal("1e-10")
CHANGES = ("min_absolute_change", "min_relative_change")


class GateState(StrEnum):
    """What a gate says."""

    #: Every bar was reached.
    PASSED = "PASSED"
    #: A bar was missed.
    REFUSED = "REFUSED"
    #: No metric has a bar, so nothing was passed and nothing refused.
    NO_THRESHOLDS = "NO_THRESHOLDS"
    #: What was absolute was reached, but there is nobody to be better than.
    NO_CHAMPION = "NO_CHAMPION"


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What one metric must reach, in MLflow's names; a negative change is how much worse it may be."""

    metric: str
    greater_is_better: bool
    threshold: float | None = None
    min_absolute_change: float | None = None
    min_relative_change: float | None = None

    @property
    def is_absolute(self) -> bool:
        """Whether it can be reached without a champion."""
        return self.threshold is not None

    @property
    def is_relative(self) -> bool:
        """Whether it compares with a champion."""
        return self.min_absolute_change is not None or self.min_relative_change is not None


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The value of one metric for both sides; *low* and *high* bound the difference, challenger less champion."""

    challenger: float | None
    champion: float | None = None
    low: float | None = None
    high: float | None = None
    resamples: int = 0


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One metric with its bar, the numbers of both sides and why it was refused, if it was."""

    bar: Bar
    pair: Pair
    #: None where it has no bar that could be held against what there is.
    passed: bool | None
    reasons: Sequence[str] = ()

    def body(self) -> dict[str, Any]:
        """The same as JSON."""
        pair = self.pair
        known = pair.challenger is not None and pair.champion is not None
        difference = pair.challenger - pair.champion if known else None  # type: ignore[operator]
        outcome = {"difference": difference, "passed": self.passed, "reasons": list(self.reasons)}
        return {**asdict(self.bar), **asdict(pair), **outcome}


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What the gate says, and each metric that it looked at."""

    state: GateState
    metrics: Sequence[Judged] = field(default_factory=tuple)

    @property
    def message(self) -> str:
        """The state in a sentence."""
        missed = [reason for each in self.metrics for reason in each.reasons]
        return {
            GateState.PASSED: "every bar was reached",
            GateState.REFUSED: "; ".join(missed),
            GateState.NO_THRESHOLDS: "no metric of the benchmark has a threshold or a change to reach",
            GateState.NO_CHAMPION: "there is no champion to compare with; what is absolute was reached",
        }[self.state]


def judge(bars: Sequence[Bar], pairs: Mapping[str, Pair], *, has_champion: bool, must_be_sure: bool = False) -> Gate:
    """Hold the numbers of *pairs*, by metric, against *bars*.

    The meaning is that of MLflow's `validate_evaluation_results`: a value equal to its bar reaches it;
    `min_absolute_change` and `min_relative_change` ask for so much gain on the champion, in the direction that is
    better, and on a champion of 0 a relative change asks for any gain at all. Beyond MLflow, a change may be negative:
    so much worse may it be; and where one *must_be_sure*, it is the worse end of the interval that has to reach it.
    """
    judged = [_judged(bar, pairs[bar.metric], has_champion, must_be_sure) for bar in bars]
    if not any(bar.is_absolute or bar.is_relative for bar in bars):
        return Gate(state=GateState.NO_THRESHOLDS, metrics=judged)
    if any(each.passed is False for each in judged):
        return Gate(state=GateState.REFUSED, metrics=judged)
    if not has_champion and any(bar.is_relative for bar in bars):
        return Gate(state=GateState.NO_CHAMPION, metrics=judged)
    return Gate(state=GateState.PASSED, metrics=judged)


def _judged(bar: Bar, pair: Pair, has_champion: bool, must_be_sure: bool) -> Judged:
    if not bar.is_absolute and not (bar.is_relative and has_champion):
        return Judged(bar=bar, pair=pair, passed=None)
    reasons = [*_absolute(bar, pair), *(_relative(bar, pair, must_be_sure) if has_champion else ())]
    return Judged(bar=bar, pair=pair, passed=not reasons, reasons=reasons)


def _absolute(bar: Bar, pair: Pair) -> list[str]:
    if pair.challenger is None:
        return [f"{bar.metric} has no value"]
    if bar.threshold is None or _gain(bar, pair.challenger, bar.threshold) >= 0:
        return []
    side = "below" if bar.greater_is_better else "above"
    return [f"{bar.metric} {pair.challenger:.6g} is {side} {bar.threshold:.6g}"]


def _relative(bar: Bar, pair: Pair, must_be_sure: bool) -> list[str]:
    if not bar.is_relative or pair.challenger is None:
        return []
    if pair.champion is None:
        return [f"{bar.metric} of the champion has no value to compare with"]
    gain, what = _gain(bar, pair.challenger, pair.champion), "gains"
    if must_be_sure:
        worst = pair.low if bar.greater_is_better else pair.high
        if worst is None:
            return [f"{bar.metric} has no interval, so nobody can be sure of its change"]
        gain, what = (_decimal(worst) if bar.greater_is_better else -_decimal(worst)), "surely gains"
    wanted = [(name, _wanted(bar, name, pair.champion)) for name in CHANGES if getattr(bar, name) is not None]
    return [
        f"{bar.metric} {what} {gain:.6g} on {pair.champion:.6g}, {name} {getattr(bar, name):.6g} asks for {least:.6g}"
        for name, least in wanted
        if gain < least
    ]


def _wanted(bar: Bar, name: str, champion: float) -> Decimal:
    """The least gain that the bar asks for."""
    change = _decimal(getattr(bar, name))
    if name == "min_absolute_change":
        return change
    return change * abs(_decimal(champion)) if champion else LEAST_GAIN


def _gain(bar: Bar, value: float, base: float) -> Decimal:
    change = _decimal(value) - _decimal(base)
    return change if bar.greater_is_better else -change


def _decimal(value: float) -> Decimal:
    return Decimal(repr(float(value)))
