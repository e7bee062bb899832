"""Which version of an input is taken when something is made again: pinned, the newest, or the recorded one."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lineage.artifacts import Artifact, ArtifactKind, asset_id
from lineage.errors import InvalidInput
from lineage.plans import Source
from lineage.store import Store

K = ArtifactKind
#: Inputs that nobody here makes again: there is a newer version of them, or there is none.
INPUTS = (K.DATASET, K.FEATURE, K.FEATURE_SET, K.MODEL_CODE, K.ENVIRONMENT, K.SEARCH_SPACE, K.METRIC_DEFINITION)


def asset_of(artifact: Artifact) -> str:
    """The name that outlives versions."""
    return asset_id(artifact.kind, artifact.namespace, artifact.name)


def named(artifact: Artifact) -> str:
    """An artifact as messages say it."""
    return f"{artifact.kind.value} {artifact.name} {artifact.version}"


@dataclass(kw_only=True)
class Choices:
    """What is taken in the place of inputs; what was chosen once stays chosen, and why not is kept.

    *pins* wins by asset; kinds in *newest*, artifacts in *bad* and what was retracted are renewed; all else stays.
    """

    store: Store
    pins: Mapping[str, Artifact] = field(default_factory=dict)
    newest: Collection[ArtifactKind] = INPUTS
    #: What must not be in anything that is made.
    bad: Collection[str] = frozenset()
    _found: dict[str, tuple[Artifact | None, str | None]] = field(default_factory=dict)

    async def of(self, recorded: Artifact) -> tuple[Artifact | None, str | None]:
        """What takes the place of *recorded*, or why nothing can."""
        if recorded.id not in self._found:
            found = await self._choose(recorded)
            self._found[recorded.id] = (found, self._complaint(recorded, found))
        return self._found[recorded.id]

    async def _choose(self, recorded: Artifact) -> Artifact | None:
        pinned = self.pins.get(asset_of(recorded))
        if pinned is not None:
            return pinned
        if recorded.id in self.bad or recorded.kind in self.newest or recorded.retracted_at is not None:
            return await self.store.artifacts.get(recorded.kind, recorded.name, namespace=recorded.namespace)
        return recorded

    def _complaint(self, recorded: Artifact, found: Artifact | None) -> str | None:
        what = f"{recorded.kind.value} {recorded.name}"
        if found is None:
            return f"no version of {what} is left that was described and not retracted: register a new one"
        if found.id in self.bad:
            return f"{named(found)} is not healed: register a newer version of {what}"
        return None

    async def source(self, role: str, recorded: Artifact | None, problems: list[str]) -> Source:
        """The input *role*, and in *problems* why there is none."""
        if recorded is None:
            problems.append(f"the graph does not know its {role}")
            return Source(role=role, recorded=None)
        found, problem = await self.of(recorded)
        if problem is not None:
            problems.append(problem)
        return Source(role=role, recorded=recorded.id, chosen=found.id if found else None)


async def pins_of(store: Store, ids: Iterable[str]) -> dict[str, Artifact]:
    """The versions *ids* by their assets; raise InvalidInput for one that is no input, or two of one name."""
    found: dict[str, Artifact] = {}
    for id in ids:
        pinned = await store.artifacts.one(id)
        if pinned.kind not in INPUTS:
            kinds = ", ".join(kind.value for kind in INPUTS)
            raise InvalidInput(f"{named(pinned)} cannot be pinned; inputs are {kinds}", field="pins")
        if found.setdefault(asset_of(pinned), pinned).id != id:
            raise InvalidInput(f"two versions of {pinned.kind.value} {pinned.name} are pinned", field="pins")
    return found


def kinds_of(newest: Sequence[ArtifactKind] | None) -> Collection[ArtifactKind] | None:
    """The kinds whose newest versions are wanted; raise InvalidInput for one that is no input."""
    for kind in newest or ():
        if kind not in INPUTS:
            raise InvalidInput.unknown("kind of input", kind.value, [each.value for each in INPUTS], field="newest")
    return newest
