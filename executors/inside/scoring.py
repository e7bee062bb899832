"""Metrics by scikit-learn, as the environment has it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from executors.inside.program import guarded
from executors.inside.verdicts import InvalidJob, need

#: Metric → function of sklearn.metrics; those of labels, and those of scores.
OF_LABELS = {
    "f1": "f1_score",
    "precision": "precision_score",
    "recall": "recall_score",
    "accuracy": "accuracy_score",
    "balanced_accuracy": "balanced_accuracy_score",
    "mcc": "matthews_corrcoef",
}
OF_SCORES = {
    "roc_auc": "roc_auc_score",
    "average_precision": "average_precision_score",
    "log_loss": "log_loss",
    "brier": "brier_score_loss",
}
OF_NUMBERS = {
    "rmse": "root_mean_squared_error",
    "mae": "mean_absolute_error",
    "r2": "r2_score",
    "mape": "mean_absolute_percentage_error",
}
AVERAGED = ("f1", "precision", "recall")
METRICS = (*OF_LABELS, *OF_SCORES, *OF_NUMBERS)


@dataclass
class Predicted:
    """What a model says about the rows of a split."""

    values: Any
    #: The probabilities, a column for each class; None for regression and where the model gives none.
    scores: Any = None
    classes: Any = None

    @property
    def positive(self) -> Any:
        """The probability of the last class, where there are two."""
        return self.scores[:, -1] if self.scores is not None and len(self.classes) == 2 else None


def predict(model: Any, x: Any, task: str) -> Predicted:
    """Ask *model* about the rows of *x*, for probabilities too where it gives any."""
    numpy = need("numpy")
    values = numpy.asarray(guarded(model.predict, x))
    if len(values) != len(x):
        raise InvalidJob(f"the model predicted {len(values)} values for {len(x)} rows")
    if task != "classification":
        return Predicted(values=values)
    classes = getattr(model, "classes_", None)
    if classes is None or not hasattr(model, "predict_proba"):
        return Predicted(values=values, classes=classes)
    return Predicted(values=values, scores=numpy.asarray(guarded(model.predict_proba, x)), classes=classes)


def measure(truth: Any, predicted: Predicted, metrics: list[str], *, required: str | None = None) -> dict[str, float]:
    """The values of *metrics*; one that this model cannot have is left out, unless it is the *required* one."""
    found = {}
    for name in dict.fromkeys([*([required] if required else []), *metrics]):
        try:
            value = float(_value(name, truth, predicted))
        except (ValueError, TypeError, InvalidJob) as error:
            if name == required:
                raise InvalidJob(f"{name} cannot be computed: {error}") from error
            print(f"{name} is left out: {error}", flush=True)
            continue
        if math.isfinite(value):
            found[name] = value
    return found


def _value(name: str, truth: Any, predicted: Predicted) -> float:
    sklearn = need("sklearn.metrics", "scikit-learn")
    if name in OF_NUMBERS:
        return float(getattr(sklearn, OF_NUMBERS[name])(truth, predicted.values))
    if name in OF_LABELS:
        options = _averaging(truth, predicted) if name in AVERAGED else {}
        return float(getattr(sklearn, OF_LABELS[name])(truth, predicted.values, **options))
    if predicted.scores is None:
        raise InvalidJob("the model gives no probabilities, it has no predict_proba with classes_")
    return _of_scores(getattr(sklearn, OF_SCORES[name]), name, truth, predicted)


def _averaging(truth: Any, predicted: Predicted) -> dict[str, Any]:
    numpy = need("numpy")
    classes = predicted.classes if predicted.classes is not None else numpy.unique(truth)
    if len(classes) == 2:
        return {"pos_label": classes[-1], "zero_division": 0.0}
    return {"average": "macro", "zero_division": 0.0}


def _of_scores(function: Any, name: str, truth: Any, predicted: Predicted) -> float:
    if predicted.positive is not None and name != "log_loss":
        return float(function(truth == predicted.classes[-1], predicted.positive))
    if name == "roc_auc":
        return float(function(truth, predicted.scores, multi_class="ovr", labels=predicted.classes))
    if name == "average_precision":
        onehot = need("sklearn.preprocessing", "scikit-learn").label_binarize(truth, classes=predicted.classes)
        return float(function(onehot, predicted.scores))
    return float(function(truth, predicted.scores, labels=predicted.classes))
