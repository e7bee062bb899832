"""Triggers from Python: what is done when something happens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from lineage.client.answers import known
from lineage.client.documents import TRIGGERS
from lineage.client.runs import as_kind
from lineage.client.session import Session


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """An action at every event of a kind; *of* is the name that is watched."""

    id: str
    name: str
    namespace: str = "default"
    event: str
    kind: str
    of: str | None = None
    metric: str | None = None
    threshold: float | None = None
    #: Seconds after which a benchmark that was not run is due.
    due_after: float | None = None
    action: str
    spec: Mapping[str, Any] = field(default_factory=dict, repr=False)
    debounce: float = 0.0
    overlap: str
    paused: bool = False
    description: str | None = None
    created_at: datetime | None = None
    created_by: str | None = None
    deleted_at: datetime | None = None

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        return cls(**known(cls, data))


class Triggers(Session):
    """The verbs of triggers; each takes a trigger by its id or by its name."""

    def create_trigger(
        self,
        name: str,
        event: str,
        action: str,
        spec: Mapping[str, Any] | None = None,
        *,
        of: str | None = None,
        kind: str | None = None,
        metric: str | None = None,
        threshold: float | None = None,
        due_after: float | None = None,
        namespace: str = "default",
        debounce: float = 0.0,
        overlap: str = "QUEUE",
        paused: bool = False,
        description: str | None = None,
    ) -> Trigger:
        """Do *action* with *spec* at every *event* (NEW_VERSION, METRIC, RETRACTED, BENCHMARK_DUE) of the name *of*."""
        return self._trigger(
            "create_trigger",
            name=name,
            event=event.upper().replace("-", "_"),
            action=action,
            spec=dict(spec or {}),
            of=of,
            kind=as_kind(kind).name if kind else None,
            metric=metric,
            threshold=threshold,
            due_after=due_after,
            namespace=namespace,
            debounce=debounce,
            overlap=overlap.upper(),
            paused=paused,
            description=description,
        )

    def pause_trigger(self, trigger: str, *, namespace: str = "default") -> Trigger:
        """Let it fire no more until it is resumed."""
        return self._trigger("pause_trigger", **_ref(trigger, namespace))

    def resume_trigger(self, trigger: str, *, namespace: str = "default") -> Trigger:
        """Let it fire again, for what happens from now on."""
        return self._trigger("resume_trigger", **_ref(trigger, namespace))

    def delete_trigger(self, trigger: str, *, namespace: str = "default") -> Trigger:
        """Let it fire no more and give its name free; what it fired stays."""
        return self._trigger("delete_trigger", **_ref(trigger, namespace))

    def triggers(self, *, namespace: str | None = None, deleted: bool = False) -> list[Trigger]:
        """Triggers, by namespace and name."""
        found = self.query(TRIGGERS, namespace=namespace, deleted=deleted)["triggers"]
        return [Trigger.read(each) for each in found]

    def _trigger(self, verb: str, **input: Any) -> Trigger:
        return Trigger.read(self._mutate(verb, **input)["trigger"])


def _ref(trigger: str, namespace: str) -> dict[str, str]:
    return {"id": trigger} if trigger.startswith("trigger-") else {"name": trigger, "namespace": namespace}
