"""Freshness: what was made of superseded data, code or environments, and what to redo in which order.

An input is superseded when its name has a version that was recorded later and is not retracted. Packages,
hyperparameters and search spaces are not: their versions stand side by side. A newer model is no reason either, for
it may be worse; but where an input is a model that is stale itself, the newer version takes its place.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from lineage.artifacts import ArtifactKind
from lineage.errors import InvalidInput, NotFound
from lineage.store import Store
from lineage.store.versions import Version

K = ArtifactKind
MOST = 10_000  # artifacts of a namespace that are looked at


class Cause(StrEnum):
    """What kind of input has a newer version."""

    DATA = "DATA"
    CODE = "CODE"
    ENVIRONMENT = "ENVIRONMENT"
    MODEL = "MODEL"


CAUSES: Mapping[ArtifactKind, Cause] = {
    **dict.fromkeys((K.DATASET, K.COLUMN, K.FEATURE, K.FEATURE_SET, K.TRAINING_SET, K.PREDICTIONS), Cause.DATA),
    **dict.fromkeys((K.MODEL_CODE, K.NOTEBOOK), Cause.CODE),
    **dict.fromkeys((K.ENVIRONMENT, K.IMAGE), Cause.ENVIRONMENT),
    K.MODEL: Cause.MODEL,
}


@dataclass(frozen=True, kw_only=True)
class Superseded:
    """An input that has a newer version, and the fewest edges that lead to it."""

    input: str
    newest: str
    cause: Cause
    distance: int


@dataclass(frozen=True, kw_only=True)
class Step:
    """An artifact that must be made again, once the steps *after* are done.

    *replaced* pairs inputs with the versions that take their place; those that are made again first are in *after*.
    *is_circular* tells that it stands on a newer version of itself, so that no order does it justice.
    """

    artifact: str
    replaced: Sequence[tuple[str, str]]
    after: Sequence[str]
    is_circular: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """Of the artifacts *checked* those that are *stale*, each with its superseded inputs, and the *steps* to redo.

    It is *complete* when no artifact was left out because there were too many.
    """

    checked: Sequence[str]
    stale: Mapping[str, Sequence[Superseded]]
    steps: Sequence[Step]
    complete: bool = True


class Freshness:
    """Which of some versions are stale, given *versions* with all that they stand on and the newest of each name.

    The newest versions, and all that these stand on, are among *versions* too. *newest* is by the id of the name.
    """

    def __init__(self, versions: Mapping[str, Version], newest: Mapping[str, str]) -> None:
        self._versions, self._newest = versions, newest
        self._inputs = {id: [*self._standing(each)] for id, each in versions.items()}
        self._stale = self._spread()

    def is_stale(self, id: str) -> bool:
        """Whether an input, directly or further up, is superseded."""
        return id in self._stale

    def superseded(self, id: str) -> list[Superseded]:
        """The superseded inputs of *id*, the nearest first."""
        found, seen, level, distance = [], {id}, [id], 0
        while level:
            distance += 1
            above = sorted({each for one in level for each in self._inputs[one]} - seen)
            seen.update(above)
            for each in above:
                if (newest := self.current(each)) != each:
                    cause = CAUSES[self._versions[each].kind]
                    found.append(Superseded(input=each, newest=newest, cause=cause, distance=distance))
            level = above
        return found

    def current(self, id: str) -> str:
        """What takes the place of *id* as an input: itself, unless it is superseded."""
        version = self._versions[id]
        if version.kind is K.MODEL and id not in self._stale:
            return id
        return self._newer(version) or id

    def plan(self, targets: Sequence[str]) -> list[Step]:
        """What must be made again so that the *targets* are fresh, in the order of dependency.

        Of what may be done at once, the order is that of the ids.
        """
        needs = self._needs(targets)
        waiting = {id: set(above) for id, above in needs.items()}
        below: dict[str, list[str]] = {id: [] for id in needs}
        for id, above in needs.items():
            for each in above:
                below[each].append(id)
        ready = [id for id, above in waiting.items() if not above]
        heapq.heapify(ready)
        steps: list[Step] = []
        while waiting:
            is_circular = not ready
            id = _on_cycle(waiting) if is_circular else heapq.heappop(ready)
            del waiting[id]
            steps.append(self._step(id, needs[id], is_circular=is_circular))
            for each in below[id]:
                if each in waiting and id in waiting[each]:
                    waiting[each].remove(id)
                    if not waiting[each]:
                        heapq.heappush(ready, each)
        return steps

    def _standing(self, version: Version) -> Iterator[str]:
        """The inputs that may be superseded or stale; earlier versions of the same name are none."""
        for id in sorted(set(version.inputs)):
            above = self._versions.get(id)
            if above is not None and above.kind in CAUSES and above.asset != version.asset:
                yield id

    def _through(self, id: str) -> list[str]:
        """The inputs of *id*, the datasets of its columns in the place of these."""
        found: set[str] = set()
        for each in self._inputs[id]:
            is_part = self._versions[each].kind is K.COLUMN and self._inputs[each]
            found.update(self._inputs[each] if is_part else [each])
        return sorted(found)

    def _newer(self, version: Version) -> str | None:
        if version.kind is K.COLUMN and self._inputs[version.id]:
            return None  # it is as old as its dataset
        newest = self._versions.get(self._newest.get(version.asset, ""))
        return newest.id if newest and newest.created_at > version.created_at else None

    def _spread(self) -> set[str]:
        below: dict[str, list[str]] = {}
        stale: set[str] = set()
        for id, inputs in self._inputs.items():
            for each in inputs:
                below.setdefault(each, []).append(id)
                above = self._versions[each]
                if above.kind is not K.MODEL and self._newer(above):
                    stale.add(id)
        waiting = list(stale)
        while waiting:
            for each in below.get(waiting.pop(), ()):
                if each not in stale:
                    stale.add(each)
                    waiting.append(each)
        return stale

    def _needs(self, targets: Sequence[str]) -> dict[str, list[str]]:
        needs: dict[str, list[str]] = {}
        waiting = [id for id in targets if id in self._stale]
        while waiting:
            id = waiting.pop()
            if id not in needs:
                needs[id] = sorted({now for each in self._through(id) if (now := self.current(each)) in self._stale})
                waiting += needs[id]
        return needs

    def _step(self, id: str, after: Sequence[str], *, is_circular: bool) -> Step:
        replaced = [(each, now) for each in self._through(id) if (now := self.current(each)) != each]
        return Step(artifact=id, replaced=replaced, after=after, is_circular=is_circular)


def _on_cycle(waiting: Mapping[str, set[str]]) -> str:
    """The least id on a cycle of *waiting*, each of which waits for another one."""
    id, seen = min(waiting), list[str]()
    while id not in seen:
        seen.append(id)
        id = min(waiting[id])
    return min(seen[seen.index(id) :])


async def of_artifacts(store: Store, ids: Sequence[str], *, as_of: datetime | None = None) -> Report:
    """How fresh the artifacts *ids* are, as the graph was at an instant; raise NotFound when one is not there."""
    versions: dict[str, Version] = {}
    newest: dict[str, str] = {}
    unread = sorted(set(ids))
    while unread:  # the newest versions stand on others, of which there may be newer ones
        found = await store.versions.upstream(unread, as_of=as_of)
        if missing := [id for id in unread if id not in found]:
            raise NotFound(f"there is no artifact with the id {missing[0]!r}")
        versions |= found
        named = {each.asset for each in found.values() if each.kind in CAUSES} - newest.keys()
        newest |= await store.versions.newest(named, as_of=as_of)
        unread = sorted(set(newest.values()) - versions.keys())
    freshness = Freshness(versions, newest)
    checked = list(dict.fromkeys(ids))
    return Report(
        checked=checked,
        stale={id: freshness.superseded(id) for id in checked if freshness.is_stale(id)},
        steps=freshness.plan(checked),
    )


async def of_namespace(
    store: Store,
    namespace: str,
    *,
    kinds: Sequence[ArtifactKind] = (K.MODEL,),
    every: bool = False,
    as_of: datetime | None = None,
    most: int = MOST,
) -> Report:
    """How fresh the artifacts of *kinds* in a namespace are: those in use, or with *every* all versions.

    In use is the newest version of a name, and one that an alias or a live deployment holds. Of more than *most* the
    first by name are looked at, and the report is not complete.
    """
    if strange := [kind.value for kind in kinds if kind not in CAUSES and kind is not K.DEPLOYMENT]:
        raise InvalidInput(f"a {strange[0]} is not made of what goes out of date", field="kinds")
    ids = await store.versions.in_use(namespace, kinds, every=every, as_of=as_of, first=most + 1)
    report = await of_artifacts(store, ids[:most], as_of=as_of)
    return replace(report, complete=len(ids) <= most)
