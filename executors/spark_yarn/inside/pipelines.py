"""Pipelines of Spark ML: what a model's code has built, made whole, and which columns of it say what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from executors.inside.verdicts import End, UserCode, of_user_code

FEATURES = "features"
INPUTS, OUTPUTS = ("featuresCol", "inputCol", "inputCols"), ("outputCol", "outputCols")
CAUSES = 20  # how deep the reasons of an error of Java go at most
LOST = "ExecutorLostFailure"


class Lost(End):
    """Spark has lost executors more often than it puts up with."""

    reason = "LOST"


def whole(built: Any, features: Sequence[str], seed: int) -> Any:
    """A pipeline of what `build` has returned: *features* become one vector first where a stage wants them so.

    Stages that draw numbers, and were given no seed, get that of the run.
    """
    from pyspark.ml import Estimator, Pipeline
    from pyspark.ml.feature import VectorAssembler

    if not isinstance(built, Estimator):
        message = f"build() returned a {type(built).__name__}; the contract 'spark' wants an Estimator of Spark ML"
        raise UserCode(message)
    stages = list(built.getStages()) if isinstance(built, Pipeline) else [built]
    flat = list(_flat(built))
    wants, makes = (FEATURES in {column for each in flat for column in _columns(each, of)} for of in (INPUTS, OUTPUTS))
    if wants and not makes:
        stages = [VectorAssembler(inputCols=list(features), outputCol=FEATURES), *stages]
    for each in flat:
        if each.hasParam("seed") and not each.isSet("seed"):
            each.set(each.getParam("seed"), seed)
    return Pipeline(stages=stages)


def _flat(stage: Any) -> Iterator[Any]:
    """A stage, and those that it is made of: of a pipeline, of a search, of what chooses between classes."""
    if stage is None:
        return
    yield stage
    if hasattr(stage, "getStages"):
        for each in stage.getStages():
            yield from _flat(each)
    for name in ("getEstimator", "getClassifier"):
        if hasattr(stage, name):
            yield from _flat(getattr(stage, name)())


def _columns(stage: Any, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if stage.hasParam(name) and stage.isDefined(name):
            value = stage.getOrDefault(name)
            yield from [value] if isinstance(value, str) else value


def outputs(model: Any) -> tuple[str, str | None]:
    """The columns of a fitted model's prediction, and of its probabilities where it gives any."""
    for stage in reversed(list(_fitted(model))):
        if stage.hasParam("predictionCol"):
            scores = stage.getOrDefault("probabilityCol") if stage.hasParam("probabilityCol") else None
            return stage.getOrDefault("predictionCol"), scores or None
    raise UserCode("no stage of the model makes predictions")


def _fitted(model: Any) -> Iterator[Any]:
    if hasattr(model, "bestModel"):
        yield from _fitted(model.bestModel)
    elif hasattr(model, "stages"):
        for each in model.stages:
            yield from _fitted(each)
    else:
        yield model


def told(function: Any, *arguments: Any) -> Any:
    """Call what may fail on the cluster; an error of Java becomes a verdict that gives its first cause."""
    from py4j.protocol import Py4JError, Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        return function(*arguments)
    except Py4JJavaError as error:
        said, cause = _causes(error.java_exception)
        if any(LOST in each for each in said):
            raise Lost(f"executors were lost: {said[0]}") from error
        raise UserCode(f"Spark: {cause}") from error
    except (PySparkException, Py4JError) as error:
        words = str(error).partition("\n\nJVM stacktrace")[0]
        raise (Lost if LOST in words else UserCode)(f"Spark: {words[:2000]}") from error
    except (Exception, SystemExit) as error:  # stages may be of the user's own making
        raise of_user_code(error) from error


def _causes(error: Any) -> tuple[list[str], str]:
    """What an exception of Java and its causes say, each as its first lines; and the last of them."""
    said: list[str] = []
    while error is not None and len(said) < CAUSES:
        said.append(str(error.toString())[:2000])
        error = error.getCause()
    return said, said[-1].partition("\n\tat ")[0].partition("\nDriver stacktrace")[0]
