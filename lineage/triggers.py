"""Triggers: what is done whenever something happens in the graph."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from lineage.artifacts import ArtifactKind, asset_id
from lineage.schedules import Overlap

#: What an action's spec may say for the id of the artifact that made a trigger fire.
ARTIFACT = "$artifact"


class TriggerEvent(StrEnum):
    """What a trigger waits for."""

    #: Another version of a name was recorded.
    NEW_VERSION = "NEW_VERSION"
    #: A model of a name was evaluated, and a metric is on the wrong side of its bar.
    METRIC = "METRIC"
    #: A version, of one name or of any, was retracted.
    RETRACTED = "RETRACTED"
    #: A benchmark has not been run for so long.
    BENCHMARK_DUE = "BENCHMARK_DUE"


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """An action at every event of a kind; *kind* and *of* name the asset that is watched."""

    id: str
    name: str
    namespace: str = "default"
    event: TriggerEvent
    kind: ArtifactKind
    #: The name that is watched; None, for retractions alone, is every name.
    of: str | None = None
    #: The metric whose bar counts, and the bar; without one those of the metric's definition count.
    metric: str | None = None
    threshold: float | None = None
    #: Seconds after which a benchmark that has not been run is due.
    due_after: float | None = None
    action: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    #: Seconds of quiet that an event waits for; of several within it the last one fires.
    debounce: float = 0.0
    overlap: Overlap = Overlap.QUEUE
    is_paused: bool = False
    description: str | None = None
    revision: int = 0
    #: Events from here on count.
    starts_at: datetime
    #: Up to here everything has been looked at, but for what was recorded late.
    watched_at: datetime
    created_at: datetime
    created_by: str = "unknown"
    updated_at: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def asset(self) -> str | None:
        """The id of the asset that is watched."""
        return asset_id(self.kind, self.namespace, self.of) if self.of else None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read it back from the map that a query returns."""
        known = {name: row[name] for name in cls.__dataclass_fields__ if row.get(name) is not None}
        given = {
            "event": TriggerEvent(row["event"]),
            "kind": ArtifactKind(row["kind"]),
            "spec": json.loads(row.get("spec") or "{}"),
            "overlap": Overlap(row["overlap"]),
        }
        return cls(**{**known, **given})


#: A burst of events fires after so many times its quiet at the latest, however long it goes on.
BURST = 10


def ripe(trigger: Trigger, now: datetime, burst_at: datetime | None) -> datetime:
    """When an event that is seen *now* fires, in a burst that began at *burst_at*."""
    quiet = timedelta(seconds=trigger.debounce)
    return min(now + quiet, (burst_at or now) + BURST * quiet)


def filled(spec: Any, artifact: str | None) -> Any:
    """*spec* with the id of the *artifact* that made it fire, wherever it says $artifact."""
    if isinstance(spec, Mapping):
        return {key: filled(value, artifact) for key, value in spec.items()}
    if isinstance(spec, list):
        return [filled(value, artifact) for value in spec]
    return artifact if spec == ARTIFACT and artifact else spec
