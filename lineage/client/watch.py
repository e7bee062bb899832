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
        self,
        predictions: Ref | None = None,
        metrics: Sequence[Ref] = (),
        *,
        deployment: str | None = None,
        namespace: str = "default",
        bins: int = 10,
        **given: Unpack[Options],
    ) -> Run:
        """Measure how far what a model was given has moved from what it has learned from.

        Args:
            deployment: in the place of predictions, the name of a deployment that keeps a sample of what it is asked.
        """
        named = {"deployment": deployment, "namespace": namespace}
        return self._watch("measure_drift", predictions, metrics, **named, bins=bins, **given)

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

    def _watch(self, verb: str, predictions: Ref | None, metrics: Sequence[Ref], **input: Any) -> Run:
        key = input.pop("idempotency_key", None) or uuid.uuid4().hex
        named = {"predictions": predictions and id_of(predictions), "metrics": [id_of(each) for each in metrics]}
        return Run.read(self._mutate(verb, **named, **input, idempotency_key=key)["run"])
