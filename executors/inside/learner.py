"""What learns: a model by the interface of scikit-learn, on the frames of one process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executors.inside import results, saving, scoring
from executors.inside.program import Program, guarded, seed_all
from executors.inside.tables import Tables
from executors.inside.verdicts import UserCode, need

if TYPE_CHECKING:
    from executors.inside.handle import Handle


class Learner:
    """Fits, measures, saves, loads and asks models; the splits are read into this process."""

    def __init__(self, root: Path, job: dict[str, Any], tables: Tables) -> None:
        self.root, self.job, self.tables = root, job, tables
        self.task = str(job.get("task", "classification"))
        self.seed = int(job.get("seed") or 0)

    def ready(self) -> None:
        """Have at hand what every model needs; raise Lacking."""
        need("sklearn", "scikit-learn")

    def check(self) -> None:
        """Raise InvalidJob where the rows cannot be learned from: that is no fault of a trial."""
        self.tables.y("train")

    def fit(self, program: Program, handle: Handle) -> None:
        """Run the model's code, and give *handle* the model if one comes of it."""
        if program.contract == "build":
            estimator = program.call(dict(handle.params))
            if not (hasattr(estimator, "fit") and hasattr(estimator, "predict")):
                raise UserCode(f"build() returned a {type(estimator).__name__}, which has no fit and predict")
            guarded(estimator.fit, self.tables.x("train"), self.tables.y("train"))
            handle.model = estimator
            return
        returned = program.call(handle)
        if handle.model is None and hasattr(returned, "predict"):
            handle.model = returned

    def measure(self, model: Any, split: str, metrics: list[str], *, required: str | None = None) -> dict[str, float]:
        """The values of *metrics* on the rows of a split; see `scoring.measure`."""
        predicted = scoring.predict(model, self.tables.x(split), self.task)
        return scoring.measure(self.tables.y(split), predicted, metrics, required=required)

    def predict(self, model: Any, split: str, path: Path, *, metrics: list[str] | None = None) -> dict[str, float]:
        """Leave what *model* says of the rows of a split at *path*, and return the values of *metrics*."""
        predicted = scoring.predict(model, self.tables.x(split), self.task)
        results.predictions(path, self.tables, split, predicted)
        return scoring.measure(self.tables.y(split), predicted, metrics) if metrics else {}

    def save(self, model: Any, out: Path, form: str) -> dict[str, Any]:
        """Write the model into *out*; see `saving.save`."""
        allowed = bool(self.job.get("allow_pickle") or (self.job.get("model") or {}).get("allow_pickle"))
        return saving.save(model, out, form, allow_pickle=allowed)

    def load(self) -> Any:
        """Read the model that the job gives; see `saving.load`."""
        if self.job.get("code"):
            sys.path.insert(0, str(self.root / self.job["code"].get("path", "code")))
        self.ready()
        seed_all(self.seed)
        return saving.load(self.root, self.job["model"])

    def known(self, model: Any) -> dict[str, Any]:
        """What a record of the work says of the model: its classes, where it tells any apart."""
        classes: Any = getattr(model, "classes_", None) if self.task == "classification" else None
        return {"classes": classes.tolist() if hasattr(classes, "tolist") else classes}
