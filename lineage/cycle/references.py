"""References: artifacts by id, by alias, or as the newest version of a name at the moment of asking."""

from lineage.artifacts import Artifact, ArtifactKind
from lineage.errors import NotFound
from lineage.requests import trained_on
from lineage.store import Store

NEWEST = "newest"


async def resolve(store: Store, ref: str, kind: ArtifactKind, *, namespace: str = "default") -> Artifact:
    """The artifact with the id *ref*, or what `NAME@ALIAS` or `NAME@newest` points to now."""
    name, at, alias = ref.rpartition("@")
    if not at:
        return await store.artifacts.one(ref, kind)
    version = None if alias == NEWEST else f"@{alias}"
    found = await store.artifacts.get(kind, name, namespace=namespace, version=version)
    if found is None:
        raise NotFound(f"there is no {kind.value} {ref!r} in {namespace!r}")
    return found


async def newest(store: Store, model: Artifact) -> dict[str, str]:
    """The newest version of each dataset that *model*'s training set was made of, by name."""
    training_set = await trained_on(store, model)
    edges = await store.artifacts.dependencies([training_set])
    seen = await store.artifacts.by_ids(edge["target"] for edge in edges)
    found: dict[str, str] = {}
    for each in seen.values():
        if each.kind is ArtifactKind.DATASET:
            latest = await store.artifacts.get(each.kind, each.name, namespace=each.namespace)
            found[each.name] = (latest or each).id
    return found
