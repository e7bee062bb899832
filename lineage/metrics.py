"""Metrics: what is measured of a model on rows that it has not seen, with curves as points and bars to reach."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics as sk

from lineage.errors import InvalidInput

CURVE_POINTS = 1_000  # most points that a stored curve has


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric: which way is better, for which task, and whether it looks at scores or at predictions.

    The functions are scikit-learn's; precision, recall and f1 of more than two classes are macro averages.
    """

    greater_is_better: bool
    task: str
    needs: str
    compute: Callable[..., float]


def _averaged(function: Callable[..., float]) -> Callable[..., float]:
    def compute(labels: Any, predictions: Any, classes: Sequence[Any]) -> float:
        if len(classes) == 2:
            return function(labels, predictions, pos_label=classes[1], zero_division=0.0)
        return function(labels, predictions, average="macro", zero_division=0.0)

    return compute


def _plain(function: Callable[..., float]) -> Callable[..., float]:
    return lambda labels, predictions, classes: function(labels, predictions)


def _roc_auc(labels: Any, scores: Any, classes: Sequence[Any]) -> float:
    if len(classes) == 2:
        return float(sk.roc_auc_score(labels == classes[1], scores[:, 1]))
    names, columns = _sorted(scores, classes)
    return float(sk.roc_auc_score(labels, columns, multi_class="ovr", average="macro", labels=names))


def _average_precision(labels: Any, scores: Any, classes: Sequence[Any]) -> float:
    one_by_one = range(1, 2) if len(classes) == 2 else range(len(classes))
    found = [sk.average_precision_score(labels == classes[each], scores[:, each]) for each in one_by_one]
    return float(np.mean(found))


def _log_loss(labels: Any, scores: Any, classes: Sequence[Any]) -> float:
    names, columns = _sorted(scores, classes)
    return float(sk.log_loss(labels, columns, labels=names))


def _sorted(scores: Any, classes: Sequence[Any]) -> tuple[list[Any], Any]:
    """The classes in the order that scikit-learn takes for granted, and the columns of *scores* in the same."""
    order = sorted(range(len(classes)), key=lambda each: classes[each])
    return [classes[each] for each in order], scores[:, order]


def _brier(labels: Any, scores: Any, classes: Sequence[Any]) -> float:
    if len(classes) == 2:
        return float(np.mean((scores[:, 1] - (labels == classes[1])) ** 2))
    hits = np.array([[label == each for each in classes] for label in labels], dtype=float)
    return float(np.mean(np.sum((scores - hits) ** 2, axis=1)))


def _metric(better: bool, task: str, needs: str, compute: Callable[..., float]) -> Metric:
    return Metric(greater_is_better=better, task=task, needs=needs, compute=compute)


C, R = "classification", "regression"

METRICS: Mapping[str, Metric] = {
    "roc_auc": _metric(True, C, "score", _roc_auc),
    "average_precision": _metric(True, C, "score", _average_precision),
    "log_loss": _metric(False, C, "score", _log_loss),
    "brier": _metric(False, C, "score", _brier),
    "f1": _metric(True, C, "prediction", _averaged(sk.f1_score)),
    "precision": _metric(True, C, "prediction", _averaged(sk.precision_score)),
    "recall": _metric(True, C, "prediction", _averaged(sk.recall_score)),
    "accuracy": _metric(True, C, "prediction", _plain(sk.accuracy_score)),
    "balanced_accuracy": _metric(True, C, "prediction", _plain(sk.balanced_accuracy_score)),
    "mcc": _metric(True, C, "prediction", _plain(sk.matthews_corrcoef)),
    "rmse": _metric(False, R, "prediction", _plain(sk.root_mean_squared_error)),
    "mae": _metric(False, R, "prediction", _plain(sk.mean_absolute_error)),
    "mape": _metric(False, R, "prediction", _plain(sk.mean_absolute_percentage_error)),
    "r2": _metric(True, R, "prediction", _plain(sk.r2_score)),
}

DRIFT = "drift"
#: What is measured of the inputs of a model, not of its answers, and whether more of it is better; see data/drift.py.
DRIFT_METRICS: Mapping[str, bool] = {"psi": False, "p_value": True, "drifted_share": False}


def known_metrics() -> list[str]:
    """The names of all metrics that may be defined."""
    return sorted([*METRICS, *DRIFT_METRICS])


def task_of(name: str) -> str:
    """What a metric is for: classification, regression, or drift; raise InvalidInput for one that is not known."""
    if name in DRIFT_METRICS:
        return DRIFT
    if name not in METRICS:
        raise InvalidInput.unknown("metric", name, known_metrics(), field="metrics")
    return METRICS[name].task


def check_tasks(names: Sequence[str]) -> None:
    """Raise InvalidInput unless one model can be measured by all these metrics."""
    tasks = {task_of(name) for name in names}
    if DRIFT in tasks:
        raise InvalidInput(f"{', '.join(DRIFT_METRICS)} are of inputs, not of a model: measureDrift", field="metrics")
    if len(tasks) > 1:
        raise InvalidInput("metrics of classification and of regression do not go together", field="metrics")


def is_greater_better(name: str) -> bool:
    """Whether more of a metric is better; of one that is not known it is taken for granted."""
    return DRIFT_METRICS.get(name, name not in METRICS or METRICS[name].greater_is_better)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured: values by metric (None where one is undefined, with the reason in *notes*), and curves."""

    rows: int
    values: Mapping[str, float | None]
    curves: Mapping[str, Any] = field(default_factory=dict)
    confusion_matrix: Mapping[str, Any] | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


def measure(path: Path, names: Sequence[str], *, label: str, task: str, classes: Sequence[Any] | None) -> Measured:
    """Measure the predictions in a Parquet file with the columns *label*, `prediction` and the scores.

    Args:
        names: metrics to compute; for classifiers the whole of METRICS' classification ones may be asked for.
        classes: the model's classes in its own order; the last of two is the positive one.

    Raises:
        InvalidInput: a metric is unknown, or the file has no rows, no such columns, missing or infinite values, or a
            label that is none of *classes*.
    """
    for name in names:
        if name not in METRICS:
            raise InvalidInput.unknown("metric", name, sorted(METRICS), field="metric")
    frame = _whole(pd.read_parquet(path), label, "prediction")
    labels = frame[label].to_numpy()
    predictions = frame["prediction"].to_numpy()
    if task == R:
        return Measured(rows=len(frame), **_values(names, R, labels, predictions, None, ()))
    found = list(classes or sorted(set(labels.tolist())))
    _check_classes(labels, found)
    scores = _scores(frame, found)
    return Measured(
        rows=len(frame),
        **_values(names, C, labels, predictions, scores, found),
        curves=_curves(labels, scores, found),
        confusion_matrix=_confusion(labels, predictions, found),
    )


def _check_classes(labels: Any, classes: Sequence[Any]) -> None:
    known = set(classes)
    strange = [each for each in labels.tolist() if each not in known]
    if strange:
        message = f"{len(strange)} rows have a label that the model does not know, such as {strange[0]!r}"
        raise InvalidInput(message, field="label")


def _whole(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    for name in names:
        if name not in frame:
            raise InvalidInput(f"the predictions have no column {name!r}", field=name)
        if frame[name].isna().any():
            raise InvalidInput(f"the column {name!r} has missing values, which cannot be measured", field=name)
    if frame.empty:
        raise InvalidInput("the predictions have no rows to measure", field="split")
    return frame


def _scores(frame: pd.DataFrame, classes: Sequence[Any]) -> Any:
    if "score" in frame and len(classes) == 2:
        positive = frame["score"].to_numpy(dtype=float)
        scores = np.column_stack([1 - positive, positive])
    elif all(f"score_{each}" in frame for each in classes):
        scores = frame[[f"score_{each}" for each in classes]].to_numpy(dtype=float)
    else:
        return None  # a classifier that gives no probabilities
    if not np.isfinite(scores).all():
        raise InvalidInput("the scores have missing or infinite values", field="score")
    return scores


def _values(
    names: Sequence[str], task: str, labels: Any, predictions: Any, scores: Any, classes: Sequence[Any]
) -> dict[str, Any]:
    values: dict[str, float | None] = {}
    notes: dict[str, str] = {}
    one_class = len(classes) > 0 and len(set(labels.tolist())) < 2
    for name in names:
        metric = METRICS[name]
        if metric.task != task:
            values[name], notes[name] = None, f"it measures {metric.task}"
        elif metric.needs == "score" and scores is None:
            values[name], notes[name] = None, "the model gives no scores"
        elif one_class and name in {"roc_auc", "average_precision", "log_loss"}:
            values[name], notes[name] = None, "the split has rows of one class only"
        else:
            given = scores if metric.needs == "score" else predictions
            value = float(metric.compute(labels, given, classes))
            values[name] = value if np.isfinite(value) else None
            if values[name] is None:
                notes[name] = "the value is not a finite number"
    return {"values": values, "notes": notes}


def _curves(labels: Any, scores: Any, classes: Sequence[Any]) -> dict[str, Any]:
    if scores is None or len(classes) != 2 or len(set(labels.tolist())) < 2:
        return {}
    truth, positive = labels == classes[1], scores[:, 1]
    fpr, tpr, cuts = sk.roc_curve(truth, positive)
    kept = thin(fpr, tpr)
    # scikit-learn's first threshold is infinite: nothing is predicted positive there. JSON has no infinity.
    roc = {"fpr": _list(fpr[kept]), "tpr": _list(tpr[kept]), "thresholds": _list(cuts[kept])}
    precision, recall, cuts = sk.precision_recall_curve(truth, positive)
    kept = thin(recall, precision)
    cuts = np.append(cuts, np.inf)  # the last point, recall 0, has no threshold
    curve = {"precision": _list(precision[kept]), "recall": _list(recall[kept]), "thresholds": _list(cuts[kept])}
    return {"roc": roc, "precision_recall": curve}


def thin(x: Any, y: Any, most: int = CURVE_POINTS) -> Any:
    """Indices of at most *most* points of a curve, its ends among them, even along its length."""
    if len(x) <= most:
        return np.arange(len(x))
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    kept = np.searchsorted(length, np.linspace(0, length[-1], most))
    return np.unique(np.concatenate([[0], np.minimum(kept, len(x) - 1), [len(x) - 1]]))[:most]


def _list(values: Any) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _confusion(labels: Any, predictions: Any, classes: Sequence[Any]) -> dict[str, Any]:
    matrix = sk.confusion_matrix(labels, predictions, labels=list(classes))
    return {"labels": [str(each) for each in classes], "matrix": matrix.tolist()}


def verdicts(
    values: Mapping[str, float | None],
    definitions: Sequence[Mapping[str, Any]],
    baseline: Mapping[str, float | None] | None = None,
) -> list[dict[str, Any]]:
    """Hold *values* against the bars of *definitions*; one without a bar gives no verdict.

    The names and the meaning are MLflow's: `threshold` is absolute; `min_absolute_change` and
    `min_relative_change` ask for so much improvement over *baseline*, the relative one of its absolute value.
    Compared as decimals, so that 0.1 + 0.2 reaches 0.3.
    """
    found = [_verdict(values.get(each["metric"]), each, (baseline or {}).get(each["metric"])) for each in definitions]
    return [verdict for verdict in found if verdict is not None]


def _verdict(value: float | None, bar: Mapping[str, Any], baseline: float | None) -> dict[str, Any] | None:
    named = ("threshold", "min_absolute_change", "min_relative_change")
    if all(bar.get(name) is None for name in named):
        return None
    verdict = {"metric": bar["metric"], "value": value, "threshold": bar.get("threshold"), "passed": False}
    if value is None:
        return {**verdict, "message": "the metric has no value"}
    sign = 1 if bar["greater_is_better"] else -1
    reasons = []
    if bar.get("threshold") is not None and sign * (_decimal(value) - _decimal(bar["threshold"])) < 0:
        reasons.append(f"{value:.6g} is {'below' if sign > 0 else 'above'} {bar['threshold']:.6g}")
    if baseline is not None:
        gain = sign * (_decimal(value) - _decimal(baseline))
        for name, unit in (("min_absolute_change", Decimal(1)), ("min_relative_change", abs(_decimal(baseline)))):
            if bar.get(name) is not None and gain < _decimal(bar[name]) * unit:
                reasons.append(f"it gains {gain:.6g} on {baseline:.6g}, less than {name} {bar[name]:.6g}")
    return {**verdict, "passed": not reasons, "message": "; ".join(reasons) or None}


def _decimal(value: float) -> Decimal:
    return Decimal(repr(value))
