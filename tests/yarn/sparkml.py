"""Code for Spark ML, and the same by scikit-learn, to hold its answers against."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lineage.artifacts import ArtifactKind
from lineage.client import Artifact, Run
from tests.e2e.worlds import World

CODE = """
from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import StandardScaler


def build(params):
    scaler = StandardScaler(inputCol="features", outputCol="scaled", withMean=True)
    learner = LogisticRegression(featuresCol="scaled", regParam=params["C"] / 100, standardization=False, tol=1e-9)
    return Pipeline(stages=[scaler, learner])
"""
#: A stage that is no class of Spark's, and is saved under its own name.
STRANGE = """
from pyspark.ml import Pipeline, Transformer
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable


class Twice(Transformer, DefaultParamsReadable, DefaultParamsWritable):
    def _transform(self, rows):
        return rows.withColumn("twice", rows["mean_radius"] * 2)


def build(params):
    return Pipeline(stages=[Twice(), LogisticRegression(maxIter=2)])
"""
#: Three classes, and a number, that are to be learned.
SIZE = "CASE WHEN cells.mean_area < 450 THEN 'small' WHEN cells.mean_area < 750 THEN 'middle' ELSE 'large' END"
SIZES = CODE.replace("tol=1e-9", "tol=1e-9, maxIter=1000, family='multinomial'")
AREAS = """
from pyspark.ml.regression import LinearRegression


def build(params):
    return LinearRegression(solver="normal")
"""
#: Many rounds, each of which is jobs of Spark; the mark says that they are about to begin.
BOOSTED = """
from pyspark.ml.classification import GBTClassifier


def build(params):
    open("{mark}", "w").close()
    return GBTClassifier(maxIter={rounds}, maxDepth=2)
"""
FOREST = """
from pyspark.ml.classification import RandomForestClassifier


def build(params):
    return RandomForestClassifier(numTrees=3, maxDepth=2)
"""


def code(world: World, name: str, source: str) -> Artifact:
    """Model code under the contract `spark`."""
    path = world.code.with_name(f"{name}.py")
    path.write_text(source)
    return world.client.register_model_code(name, path, f"{name}.py:build", contract="spark")


def trained(world: World, name: str, source: str, **more: Any) -> Run:
    """The end of a training on the cluster."""
    inputs = {name: value for name, value in world.inputs.items() if name != "search_space"}
    given = {**inputs, "model_code": code(world, name, source), "executor": "spark_yarn", "seed": 1, **more}
    return world.client.wait(world.client.train(name, hyperparameters={"C": 1.0}, **given), check=False, timeout=800)


def peer(train: pd.DataFrame, model: Artifact) -> Any:
    """What scikit-learn fits to the same rows with the same penalty."""
    penalty = len(train) * model.body["params"]["C"] / 100
    learner = make_pipeline(StandardScaler(), LogisticRegression(C=1 / penalty, max_iter=10_000, tol=1e-9))
    return learner.fit(train[model.body["features"]], train[model.body["label"]])


def stored(world: World, sha256: str) -> Path:
    """A file of the artifact store."""
    (found,) = (path for path in world.home.rglob(sha256))
    return found


def of_label(world: World, name: str, sql: str) -> Artifact:
    """A training set of the world's cells with another label."""
    client = world.client
    names = ["mean_radius", "mean_texture", "mean_smoothness", "mean_symmetry"]
    members = [client.define_feature(each, f"cells.{each}", "cells", ["cells.id"]) for each in names]
    label = client.define_feature(name, sql, "cells", ["cells.id"])
    rule = {"by": "HASH", "validate": 0.2, "test": 0.2, "seed": 1}
    run = client.create_training_set(name, client.define_feature_set(name, members, label), rule)
    return client.wait(run).made(ArtifactKind.TRAINING_SET)


def split(world: World, name: str, training_set: Artifact | None = None) -> pd.DataFrame:
    """A split of a training set, or of the world's."""
    training_set = training_set or world.inputs["training_set"]
    return pd.read_parquet(stored(world, training_set.body["splits"][name]["sha256"]))


def far(a: Any, b: Any) -> float:
    """How far the probabilities of two models are apart at most."""
    return float(np.max(np.abs(np.asarray(a, dtype=float) - np.asarray(b, dtype=float))))
