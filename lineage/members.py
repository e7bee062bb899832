"""What feature sets are made of, all the way down."""

from lineage.artifacts import Artifact
from lineage.store import Store


async def sources_of(store: Store, feature_set: Artifact) -> tuple[dict[str, Artifact], dict[str, Artifact]]:
    """The features of a feature set by id, label and those that they use included, and their datasets by name."""
    label = [feature_set.body["label"]] if feature_set.body.get("label") else []
    wanted, features = [*feature_set.body["features"], *label], dict[str, Artifact]()
    while wanted:
        found = await store.artifacts.by_ids(wanted)
        features |= found
        wanted = [id for each in found.values() for id in each.body.get("features", ()) if id not in features]
    ids = {id for feature in features.values() for id in feature.body["datasets"].values()}
    sources = await store.artifacts.by_ids(sorted(ids))
    return features, {dataset.name: dataset for dataset in sources.values()}
