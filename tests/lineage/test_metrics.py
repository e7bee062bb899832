"""Metrics held against scikit-learn's own, on files as a fit leaves them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from lineage.errors import InvalidInput
from lineage.metrics import CURVE_POINTS, METRICS, measure, thin, verdicts

BINARY = ["average_precision", "accuracy", "balanced_accuracy", "brier", "f1", "log_loss", "mcc", "precision"]
BINARY += ["recall", "roc_auc"]
REGRESSION = ["mae", "mape", "r2", "rmse"]


def binary(classes: tuple[Any, Any], rows: int = 400) -> pd.DataFrame:
    """Predictions of a middling classifier with two *classes*, the second the positive one."""
    random = np.random.default_rng(7)
    truth = random.random(rows) < 0.4
    score = np.clip(truth * 0.3 + random.random(rows) * 0.7, 0.001, 0.999)
    given = [[classes[int(each)] for each in column] for column in (truth, score > 0.5)]
    return pd.DataFrame({"y": given[0], "prediction": given[1], "score": score})


def written(tmp_path: Path, frame: pd.DataFrame) -> Path:
    """*frame* as the Parquet file that is measured."""
    path = tmp_path / "test.parquet"
    frame.to_parquet(path)
    return path


@pytest.mark.parametrize("classes", [(0, 1), (False, True), ("no", "yes"), ("yes", "no"), (0.0, 1.0)])
def test_values_of_two_classes_are_scikit_learns(tmp_path: Path, classes: tuple[Any, Any]) -> None:
    """Whatever the labels are made of, the last class is the positive one."""
    frame = binary(classes)
    truth, prediction = (frame[name].to_numpy() == classes[1] for name in ("y", "prediction"))
    score = frame["score"].to_numpy()

    measured = measure(written(tmp_path, frame), BINARY, label="y", task="classification", classes=list(classes))

    expected = {
        "average_precision": sk.average_precision_score(truth, score),
        "accuracy": sk.accuracy_score(truth, prediction),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, prediction),
        "brier": sk.brier_score_loss(truth, score),
        "f1": sk.f1_score(truth, prediction),
        "log_loss": sk.log_loss(truth, score),
        "mcc": sk.matthews_corrcoef(truth, prediction),
        "precision": sk.precision_score(truth, prediction),
        "recall": sk.recall_score(truth, prediction),
        "roc_auc": sk.roc_auc_score(truth, score),
    }
    assert pytest.approx(expected) == measured.values
    assert measured.confusion_matrix is not None
    assert sk.confusion_matrix(truth, prediction).tolist() == measured.confusion_matrix["matrix"]
    assert [str(each) for each in classes] == measured.confusion_matrix["labels"]
    assert len(frame) == measured.rows


def test_values_of_three_classes_are_scikit_learns(tmp_path: Path) -> None:
    """More classes are averaged one against the rest."""
    random = np.random.default_rng(3)
    classes = ["a", "b", "c"]
    truth = random.choice(classes, 300)
    scores = random.dirichlet([1, 1, 1], 300)
    scores[np.arange(300), [classes.index(each) for each in truth]] += 0.4
    scores /= scores.sum(axis=1, keepdims=True)
    prediction = np.array(classes)[scores.argmax(axis=1)]
    frame = pd.DataFrame({"y": truth, "prediction": prediction})
    frame = frame.assign(**{f"score_{name}": scores[:, at] for at, name in enumerate(classes)})

    measured = measure(written(tmp_path, frame), BINARY, label="y", task="classification", classes=classes)

    assert {
        "roc_auc": sk.roc_auc_score(truth, scores, multi_class="ovr", labels=classes),
        "f1": sk.f1_score(truth, prediction, average="macro"),
        "log_loss": sk.log_loss(truth, scores, labels=classes),
        "brier": sk.brier_score_loss(truth, scores, scale_by_half=False, labels=classes),
        "average_precision": sk.average_precision_score(pd.get_dummies(truth).to_numpy(), scores),
    } == pytest.approx(
        {name: measured.values[name] for name in ("roc_auc", "f1", "log_loss", "brier")}
        | {"average_precision": measured.values["average_precision"]}
    )
    assert {} == measured.curves


def test_values_of_regression_are_scikit_learns(tmp_path: Path) -> None:
    """Numbers are measured by their errors."""
    random = np.random.default_rng(1)
    truth = random.normal(10, 3, 200)
    frame = pd.DataFrame({"y": truth, "prediction": truth + random.normal(0, 1, 200)})

    measured = measure(written(tmp_path, frame), REGRESSION, label="y", task="regression", classes=None)

    expected = {
        "mae": sk.mean_absolute_error(frame.y, frame.prediction),
        "mape": sk.mean_absolute_percentage_error(frame.y, frame.prediction),
        "r2": sk.r2_score(frame.y, frame.prediction),
        "rmse": sk.root_mean_squared_error(frame.y, frame.prediction),
    }
    assert pytest.approx(expected) == measured.values


def test_every_metric_is_tested_here() -> None:
    """A metric that is added must be held against scikit-learn too."""
    assert sorted([*BINARY, *REGRESSION]) == sorted(METRICS)


@pytest.mark.filterwarnings("ignore:.*classes not in y_true.*", "ignore:A single label was found")
def test_one_class_alone_has_no_ranking(tmp_path: Path) -> None:
    """Where the split has one class only, what ranks is undefined and says why; the rest is measured."""
    frame = binary((0, 1)).query("y == 1")

    measured = measure(written(tmp_path, frame), BINARY, label="y", task="classification", classes=[0, 1])

    undefined = {"roc_auc", "average_precision", "log_loss"}
    assert undefined == {name for name, value in measured.values.items() if value is None}
    assert all("one class only" in measured.notes[name] for name in undefined)
    assert {} == measured.curves


def test_a_model_without_scores_is_measured_by_its_predictions(tmp_path: Path) -> None:
    """What needs scores has no value and says why."""
    frame = binary((0, 1)).drop(columns="score")

    measured = measure(written(tmp_path, frame), ["roc_auc", "f1"], label="y", task="classification", classes=[0, 1])

    assert measured.values["roc_auc"] is None
    assert measured.notes["roc_auc"] == "the model gives no scores"
    assert measured.values["f1"] is not None


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_refused(tmp_path: Path, bad: float) -> None:
    """A missing or infinite score is no score."""
    frame = binary((0, 1))
    frame.loc[3, "score"] = bad

    with pytest.raises(InvalidInput, match="missing or infinite"):
        measure(written(tmp_path, frame), ["roc_auc"], label="y", task="classification", classes=[0, 1])


@pytest.mark.parametrize("column", ["y", "prediction"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_missing_value_is_refused(tmp_path: Path, task: str, column: str) -> None:
    """A row without a label or a prediction cannot be measured."""
    frame = binary((0.0, 1.0))
    frame.loc[3, column] = None

    with pytest.raises(InvalidInput, match=f"{column!r} has missing"):
        measure(written(tmp_path, frame), ["f1"], label="y", task=task, classes=None)


def test_a_file_without_rows_or_columns_is_refused(tmp_path: Path) -> None:
    """Nothing can be measured on no rows, nor without the label."""
    with pytest.raises(InvalidInput, match="no rows"):
        measure(written(tmp_path, binary((0, 1)).head(0)), ["f1"], label="y", task="classification", classes=[0, 1])
    with pytest.raises(InvalidInput, match="no column 'z'"):
        measure(written(tmp_path, binary((0, 1))), ["f1"], label="z", task="classification", classes=[0, 1])


def test_a_metric_of_the_other_task_has_no_value(tmp_path: Path) -> None:
    """An error of numbers says nothing about words."""
    frame = binary(("no", "yes"))

    measured = measure(written(tmp_path, frame), ["rmse"], label="y", task="classification", classes=["no", "yes"])

    assert {"rmse": None} == measured.values
    assert {"rmse": "it measures regression"} == measured.notes


def test_an_unknown_metric_is_offered_the_nearest(tmp_path: Path) -> None:
    """A slip of the pen is answered with what may have been meant."""
    with pytest.raises(InvalidInput, match="roc_auc"):
        measure(tmp_path / "none.parquet", ["roc_acu"], label="y", task="classification", classes=[0, 1])


def test_curves_are_thinned_and_keep_their_area(tmp_path: Path) -> None:
    """A curve of many rows has at most a thousand points, its ends, and the same area to a thousandth."""
    frame = binary((0, 1), rows=40_000)

    measured = measure(written(tmp_path, frame), ["roc_auc"], label="y", task="classification", classes=[0, 1])

    roc, precision_recall = measured.curves["roc"], measured.curves["precision_recall"]
    assert len(roc["fpr"]) == len(roc["tpr"]) == len(roc["thresholds"]) <= CURVE_POINTS
    assert len(precision_recall["precision"]) == len(precision_recall["recall"]) <= CURVE_POINTS
    assert ((0, 0), (1, 1)) == ((roc["fpr"][0], roc["tpr"][0]), (roc["fpr"][-1], roc["tpr"][-1]))
    assert (1, 0) == (precision_recall["recall"][0], precision_recall["recall"][-1])
    assert sk.auc(roc["fpr"], roc["tpr"]) == pytest.approx(measured.values["roc_auc"], abs=1e-3)
    average = sk.average_precision_score(frame.y, frame.score)
    assert average == pytest.approx(sk.auc(precision_recall["recall"], precision_recall["precision"]), abs=1e-2)
    assert roc["thresholds"][0] is None


def test_a_short_curve_is_kept_whole() -> None:
    """Fewer points than the most are all kept."""
    assert [0, 1, 2] == thin(np.array([0, 0.5, 1]), np.array([0, 1, 1])).tolist()


@pytest.mark.parametrize(
    ("value", "baseline", "bar", "passed"),
    [
        (0.8, None, {"threshold": 0.8}, True),
        (0.79, None, {"threshold": 0.8}, False),
        (0.1 + 0.2, None, {"threshold": 0.3}, True),
        (0.3, None, {"threshold": 0.3, "greater_is_better": False}, True),
        (0.31, None, {"threshold": 0.3, "greater_is_better": False}, False),
        (None, None, {"threshold": 0.3}, False),
        (0.0, None, {"threshold": 0.0}, True),
        (0.9, 0.8, {"min_absolute_change": 0.1}, True),
        (0.89, 0.8, {"min_absolute_change": 0.1}, False),
        (0.2, 0.3, {"min_absolute_change": 0.1, "greater_is_better": False}, True),
        (0.88, 0.8, {"min_relative_change": 0.1}, True),
        (0.87, 0.8, {"min_relative_change": 0.1}, False),
        (-0.9, -1.0, {"min_relative_change": 0.1}, True),
        (-1.1, -1.0, {"min_relative_change": 0.0}, False),
        (0.5, None, {"min_absolute_change": 0.1}, True),
        (0.9, 0.8, {"threshold": 0.95, "min_absolute_change": 0.05}, False),
    ],
)
def test_verdicts(value: float | None, baseline: float | None, bar: dict[str, Any], passed: bool) -> None:
    """A bar is reached or not, each of its parts by itself, and a miss says why."""
    definition = {"metric": "m", "greater_is_better": True, **bar}

    (verdict,) = verdicts({"m": value}, [definition], {"m": baseline})

    assert passed is verdict["passed"]
    assert passed is (verdict["message"] is None)


def test_no_bar_gives_no_verdict() -> None:
    """A metric that is only collected passes nothing."""
    assert [] == verdicts({"m": 1.0}, [{"metric": "m", "greater_is_better": True, "threshold": None}])


def test_a_label_that_the_model_does_not_know(tmp_path: Path) -> None:
    """A class that has turned up since cannot be measured, and it is said which, for two classes and for more."""
    frame = binary(("no", "yes"))
    frame.loc[3:4, "y"] = "maybe"

    for classes in (["no", "yes"], ["no", "perhaps", "yes"]):
        with pytest.raises(InvalidInput, match="2 rows have a label that the model does not know, such as 'maybe'"):
            measure(written(tmp_path, frame), ["f1"], label="y", task="classification", classes=classes)
