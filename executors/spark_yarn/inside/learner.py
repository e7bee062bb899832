"""What learns on the cluster: estimators of Spark ML, on rows that Spark reads and this process never holds.

A frame has the features under their own names, and `label`: for classes their number among the sorted ones, from 0.0.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executors.inside import results, scoring
from executors.inside.learner import Learner
from executors.inside.program import Program, seed_all, sha256_of
from executors.inside.tables import Tables
from executors.inside.verdicts import InvalidJob, need, write_json
from executors.spark_yarn.inside import pipelines, session

if TYPE_CHECKING:
    from executors.inside.handle import Handle

FILE, FORMAT = "sparkml.zip", "spark"
LABEL, NUMBER, TRUTH, ROW = "label", "__row", "__truth", "row"
#: Columns that are made, and that no feature can have the name of.
RESERVED = (pipelines.FEATURES, LABEL, NUMBER, TRUTH)
CLASSES = 1000  # how many different labels are classes at most
#: Which column of the answers is called what, by split; what the worker joins them by.
ANSWERS = "answers.json"


class SparkLearner(Learner):
    """Fits pipelines on the cluster; what they answer is written by Spark and joined to its rows by the worker."""

    def __init__(self, root: Path, job: dict[str, Any], tables: Tables, slot: str) -> None:
        super().__init__(root, job, tables)
        note = root / session.APPLICATION
        if not note.is_file():
            raise InvalidJob("a model of Spark ML lives on a cluster: use the executor spark_yarn")
        self._place = str(json.loads(note.read_text())["place"])
        self._session: Any = None
        self._slot = slot
        self._classes: list[Any] | None = job.get("classes")
        self._answers: dict[str, dict[str, str]] = {}

    def ready(self) -> None:
        """Have a session; raise InvalidJob for features that Spark ML cannot be given."""
        if self._session is None:
            self._session = session.connect(self._slot)
            self._files = session.Files(self._session, self._place)
        taken = [name for name in self.tables.features if name in RESERVED]
        if taken:
            raise InvalidJob(f"the features {taken} have names of columns that are made for Spark ML; rename them")

    def check(self) -> None:
        """Look at the labels once; see `Learner.check`."""
        self._train()

    def fit(self, program: Program, handle: Handle) -> None:
        """Fit what `build` returns on the training split; see `Learner.fit`."""
        built = program.call(dict(handle.params))
        pipeline = pipelines.told(pipelines.whole, built, self.tables.features, self.seed)
        handle.model = pipelines.told(pipeline.fit, self._train())

    def measure(self, model: Any, split: str, metrics: list[str], *, required: str | None = None) -> dict[str, float]:
        """The values of *metrics*; labels and answers alone come into this process."""
        numpy = need("numpy")
        need("pyarrow")
        answers, names = self._answered(model, self._labelled(split), kept=[TRUTH])
        table = pipelines.told(answers.toArrow)
        found = {names.get(name, name): table.column(name).to_numpy() for name in table.column_names}
        scores = [found[name] for name in found if name.startswith("score")]
        if len(scores) == 1:
            scores = [1.0 - scores[0], scores[0]]
        classes = None if self._classes is None else numpy.array(self._classes)
        stacked = numpy.column_stack(scores) if scores else None
        predicted = scoring.Predicted(values=found["prediction"], scores=stacked, classes=classes)
        return scoring.measure(found[TRUTH], predicted, metrics, required=required)

    def predict(self, model: Any, split: str, path: Path, *, metrics: list[str] | None = None) -> dict[str, float]:
        """Have the answers to the rows of a split written on the cluster; who lands them measures them."""
        answers, names = self._answered(model, self._read(split), kept=[NUMBER])
        writer = answers.withColumnRenamed(NUMBER, ROW).write.mode("overwrite")
        pipelines.told(writer.parquet, f"{self._place}/predictions/{split}")
        self._answers[split] = names
        write_json(self.root / self.job.get("out", "out") / ANSWERS, self._answers)
        return {}

    def save(self, model: Any, out: Path, form: str) -> dict[str, Any]:
        """Write the model's directory as one file into *out*; its format is Spark's own."""
        pipelines.told(model.write().overwrite().save, f"{self._place}/fitted")
        pipelines.told(self._files.fetch, "fitted", self.root / "fitted")
        path = out / FILE
        fresh = path.with_name(f"{FILE}.new")
        session.zipped(self.root / "fitted", fresh)
        os.replace(fresh, path)
        known = {"path": FILE, "sha256": sha256_of(path), "bytes": path.stat().st_size}
        return {**known, "format": FORMAT, "types": []}

    def load(self) -> Any:
        """Read the model that the job gives, whose classes the worker has looked at; see `saving.load`."""
        given = self.job["model"]
        path = self.root / given["path"]
        actual = sha256_of(path)
        if actual != given["sha256"]:
            raise InvalidJob(f"the model file has the digest {actual}, recorded is {given['sha256']}: it was changed")
        self.ready()
        seed_all(self.seed)
        session.unzipped(path, self.root / "given")
        from pyspark.ml import PipelineModel

        return pipelines.told(PipelineModel.load, self._files.send(self.root / "given", "given"))

    def known(self, model: Any) -> dict[str, Any]:
        """The classes, and the version of Spark, which is the cluster's and no package of the environment."""
        return {"classes": self._classes, "packages": {**results.packages(), "pyspark": self._session.version}}

    def _read(self, split: str) -> Any:
        """The features of a split, and the number of each row."""
        from pyspark.sql import functions as F

        if split not in self.tables.paths:
            known = ", ".join(sorted(self.tables.paths)) or "none"
            raise InvalidJob(f"there is no data {split!r}; there is: {known}")
        found = pipelines.told(self._session.read.parquet, f"{self._place}/{self.tables.paths[split]}")
        missing = [name for name in self.tables.features if name not in found.columns]
        if missing:
            raise InvalidJob(f"{self.tables.paths[split]} lacks the features {missing}")
        label = self.tables.label
        columns = [_column(name) for name in self.tables.features]
        columns += [_column(label).alias(TRUTH)] if label is not None and label in found.columns else []
        number = F.col(NUMBER if NUMBER in found.columns else "_metadata.row_index").alias(NUMBER)
        return found.select(*columns, number)

    def _train(self) -> Any:
        frame = self._labelled("train")
        return frame.drop(NUMBER, TRUTH).persist()

    def _labelled(self, split: str) -> Any:
        """The features of a split, its labels, and their numbers as Spark ML takes them."""
        from pyspark.sql import functions as F

        frame = self._read(split)
        if TRUTH not in frame.columns:
            raise InvalidJob(f"{split} has no label {self.tables.label!r}")
        if self.task != "classification":
            self._whole(frame, split)
            return frame.withColumn(LABEL, F.col(TRUTH).cast("double"))
        if self._classes is None:
            self._classes = self._seen(frame, split)
        places = F.array(*[F.lit(each) for each in self._classes])
        return frame.withColumn(LABEL, (F.array_position(places, F.col(TRUTH)) - 1).cast("double"))

    def _seen(self, frame: Any, split: str) -> list[Any]:
        found = [row[0] for row in pipelines.told(frame.select(TRUTH).distinct().limit(CLASSES + 1).collect)]
        if None in found or any(isinstance(each, float) and math.isnan(each) for each in found):
            self._whole(frame, split)
        if len(found) > CLASSES:
            raise InvalidJob(f"the label {self.tables.label!r} has more than {CLASSES} values: these are no classes")
        if not all(isinstance(each, bool | int | float | str) for each in found):
            raise InvalidJob(f"classes of the type {type(found[0]).__name__} are not for Spark ML: make them text")
        return sorted(found)

    def _whole(self, frame: Any, split: str) -> None:
        """Raise InvalidJob where labels are missing."""
        from pyspark.sql import functions as F

        total, unknown = pipelines.told(
            frame.select(F.count(F.lit(1)), F.count_if(F.col(TRUTH).isNull() | F.isnan(F.col(TRUTH).cast("double"))))
            .first
        )  # fmt: skip
        if unknown:
            raise InvalidJob(f"the label {self.tables.label!r} is null in {unknown} of {total} rows of {split}")

    def _answered(self, model: Any, frame: Any, *, kept: list[str]) -> tuple[Any, dict[str, str]]:
        """The columns *kept* beside what *model* says of each row; and column → its name in the predictions."""
        from pyspark.ml.functions import vector_to_array
        from pyspark.sql import functions as F

        said = pipelines.told(model.transform, frame.drop(TRUTH) if TRUTH not in kept else frame)
        prediction, probability = pipelines.outputs(model)
        columns = {"prediction": F.col(prediction).cast("double")}
        if self.task == "classification":
            if not self._classes:
                raise InvalidJob("the job does not say which classes the model tells apart")
            columns = {"prediction": self._class_of(F.col(prediction))}
            if probability in said.columns:
                columns |= self._scores(vector_to_array(F.col(probability)))
        names = {f"a{place}": name for place, name in enumerate(columns)}
        answers = [column.alias(f"a{place}") for place, column in enumerate(columns.values())]
        return said.select(*kept, *answers), names

    def _class_of(self, number: Any) -> Any:
        from pyspark.sql import functions as F

        found = F.element_at(F.array(*[F.lit(each) for each in self._classes or ()]), number.cast("int") + 1)
        return found.cast("bigint") if all(type(each) is int for each in self._classes or ()) else found

    def _scores(self, vector: Any) -> dict[str, Any]:
        classes = self._classes or []
        if len(classes) == 2:
            return {"score": vector[1]}
        return {f"score_{each}": vector[place] for place, each in enumerate(classes)}


def _column(name: str) -> Any:
    from pyspark.sql import functions as F

    return F.col(f"`{name.replace('`', '``')}`").alias(name)
