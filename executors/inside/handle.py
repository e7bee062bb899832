"""What `train(run)` is given: parameters, data, and where to report, log and save."""

from __future__ import annotations

import math
from typing import Any

from executors.inside.protocol import Protocol
from executors.inside.tables import Tables


class Pruned(Exception):
    """The trial is not worth going on with; raised by `Handle.report`, meant to end `train`."""


class Handle:
    """One call of `train(run)`."""

    def __init__(
        self, params: dict[str, Any], tables: Tables, *, seed: int, protocol: Protocol | None, trial: int | None
    ) -> None:
        #: The hyperparameters of this call.
        self.params = params
        #: The seed of the run; the global generators have been set to it.
        self.seed = seed
        #: The names of the features in order, and of the label.
        self.features, self.label = list(tables.features), tables.label
        self._tables, self._protocol, self._trial = tables, protocol, trial
        self.metrics: dict[str, float] = {}
        self.model: Any = None
        self.last_reported: float | None = None

    def data(self, split: str = "train") -> Any:
        """The split as a data frame: entity, features and label. A frame of your own: change it freely."""
        return self._tables.frame(split)

    def report(self, step: int, value: float) -> None:
        """Report an intermediate value of the objective; raise Pruned when the trial should end."""
        self.last_reported = float(value)
        if self._protocol is None or self._trial is None:
            return
        if self._protocol.report(self._trial, int(step), float(value)):
            raise Pruned(f"pruned at step {step}")

    def log(self, **metrics: float) -> None:
        """Keep final values by name: `run.log(roc_auc=0.93)`."""
        for name, value in metrics.items():
            if math.isfinite(float(value)):
                self.metrics[name] = float(value)
            else:
                self.metrics.pop(name, None)

    def save(self, model: Any) -> None:
        """Hand over the trained model: something with `predict`."""
        if not hasattr(model, "predict"):
            raise TypeError(f"run.save() wants a model with a method predict, not {type(model).__name__}")
        self.model = model
