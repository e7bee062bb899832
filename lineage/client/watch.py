"""Watching models in use, from Python."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from lineage.client.runs import Run
from lineage.client.session import Ref, Session, id_of
from lineage.client.verbs import Options


class Watching(Session):
    """The verbs of drift and of quality; each run generates an Evaluation."""

    def measure_drift(
        self, predictions: Ref, metrics: Sequence[Ref] = (), *, bins: int = 10, **given: Unpack[Options]
    ) -> Run:
        """Measure how far what was scored has moved from what its model has learned from."""
        return self._watch("measure_drift", predictions, metrics, bins=bins, **given)

    def measure_quality(
        self,
        predictions: Ref,
        metrics: Sequence[Ref] = (),
        *,
        label: Ref | None = None,
        datasets: Mapping[str, Ref] | None = None,
        **given: Unpack[Options],
    ) -> Run:
        """Measure a model on what it has predicted, now that the labels are there.

        Args:
            label: the feature that tells them; by default that of the training set.
            datasets: the versions to read it from, by name; by default the newest.
        """
        chosen = [{"name": each, "id": id_of(dataset)} for each, dataset in (datasets or {}).items()]
        told = None if label is None else id_of(label)
        return self._watch("measure_quality", predictions, metrics, label=told, datasets=chosen, **given)

    def _watch(self, verb: str, predictions: Ref, metrics: Sequence[Ref], **input: Any) -> Run:
        key = input.pop("idempotency_key", None) or uuid.uuid4().hex
        named = {"predictions": id_of(predictions), "metrics": [id_of(each) for each in metrics]}
        return Run.read(self._mutate(verb, **named, **input, idempotency_key=key)["run"])
