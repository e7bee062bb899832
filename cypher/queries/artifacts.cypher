// name: artifacts_by_id(ids) one read
// The artifacts of these ids, in no order, as columns: one record travels many times faster than a record each.
UNWIND $ids AS id
MATCH (a:Artifact {id: id})
WITH collect(a) AS nodes
RETURN {
  id: [n IN nodes | n.id], kind: [n IN nodes | n.kind], namespace: [n IN nodes | n.namespace],
  name: [n IN nodes | n.name], version: [n IN nodes | n.version], digest: [n IN nodes | n.digest],
  created_at: [n IN nodes | toString(n.created_at)], created_by: [n IN nodes | n.created_by],
  description: [n IN nodes | n.description], tags: [n IN nodes | n.tags],
  retracted_at: [n IN nodes | toString(n.retracted_at)], retracted_reason: [n IN nodes | n.retracted_reason],
  is_placeholder: [n IN nodes | n.is_placeholder], body: [n IN nodes | n.body],
  locations: [n IN nodes | n.locations]
} AS columns

// name: note_location(id, uri, most) one write
// Remember where else the bytes of an artifact were found; the last place is last, and only so many are kept.
MATCH (a:Artifact {id: $id})
SET a._lock = $uri
WITH a, [each IN coalesce(a.locations, []) WHERE each <> $uri] + [$uri] AS places
SET a.locations = places[-$most..]
REMOVE a._lock
RETURN a.locations AS locations

// name: artifact_version(kind, namespace, name, version) one read
// One version of a name.
MATCH (a:Artifact {kind: $kind, namespace: $namespace, name: $name, version: $version})
RETURN a {.*, search_text: null} AS artifact

// name: newest_version(asset) one read
// The version of a name that was recorded last and is neither retracted nor a placeholder.
MATCH (:Asset {id: $asset})<-[:VERSION_OF]-(a:Artifact)
WHERE a.retracted_at IS NULL AND NOT a.is_placeholder
RETURN a {.*, search_text: null} AS artifact
ORDER BY a.created_at DESC, a.id LIMIT 1

// name: versions_of(asset) many read
// All versions of a name, the newest first.
MATCH (:Asset {id: $asset})<-[:VERSION_OF]-(a:Artifact)
RETURN a {.*, search_text: null} AS artifact
ORDER BY a.created_at DESC, a.id

// name: page_artifacts(kinds, namespace, name, tag, alias, retracted, after_at, after_id, first) many read
// A page of artifacts, the newest first; a filter that is null filters nothing.
MATCH (a:Artifact)
WHERE ($kinds IS NULL OR a.kind IN $kinds)
  AND ($namespace IS NULL OR a.namespace = $namespace)
  AND ($name IS NULL OR a.name = $name)
  AND ($tag IS NULL OR $tag IN a.tags)
  AND ($retracted OR a.retracted_at IS NULL)
  AND ($alias IS NULL OR EXISTS { (a)<-[r:ALIAS {name: $alias}]-(:Asset) WHERE r.until IS NULL })
  AND ($after_at IS NULL OR a.created_at < $after_at OR (a.created_at = $after_at AND a.id > $after_id))
RETURN a {.*, search_text: null} AS artifact
ORDER BY a.created_at DESC, a.id LIMIT $first

// name: count_artifacts(kinds, namespace, name, tag, alias, retracted) one read
// How many artifacts a filter lets through.
MATCH (a:Artifact)
WHERE ($kinds IS NULL OR a.kind IN $kinds)
  AND ($namespace IS NULL OR a.namespace = $namespace)
  AND ($name IS NULL OR a.name = $name)
  AND ($tag IS NULL OR $tag IN a.tags)
  AND ($retracted OR a.retracted_at IS NULL)
  AND ($alias IS NULL OR EXISTS { (a)<-[r:ALIAS {name: $alias}]-(:Asset) WHERE r.until IS NULL })
RETURN count(a) AS total

// name: edges_from(ids) one read
// What these artifacts depend on directly, as columns.
UNWIND $ids AS id
MATCH (source:Artifact {id: id})-[r]->(target:Artifact)
WHERE NOT type(r) = 'ALIAS'
WITH source.id AS source, target.id AS target, type(r) AS type, r ORDER BY source, type, target
RETURN {
  source: collect(source), target: collect(target), type: collect(type),
  recorded_at: collect(toString(r.recorded_at)), run_id: collect(coalesce(r.run_id, ''))
} AS columns

// name: edges_to(ids) one read
// What depends on these artifacts directly, as columns.
UNWIND $ids AS id
MATCH (source:Artifact)-[r]->(target:Artifact {id: id})
WITH source.id AS source, target.id AS target, type(r) AS type, r ORDER BY target, type, source
RETURN {
  source: collect(source), target: collect(target), type: collect(type),
  recorded_at: collect(toString(r.recorded_at)), run_id: collect(coalesce(r.run_id, ''))
} AS columns

// name: retract_artifact(id, reason, now) one write
// Leave a tombstone; the first one stands. The label is what walks look at: it costs them less than a property.
MATCH (a:Artifact {id: $id})
SET a:Retracted, a.retracted_at = coalesce(a.retracted_at, $now), a.retracted_reason = coalesce(a.retracted_reason, $reason)
RETURN a {.*, search_text: null} AS artifact

// name: recorded_since(since, after_id, kinds, first) many read
// Artifacts recorded after a point, the oldest first: what a subscription tails.
MATCH (a:Artifact)
WHERE (a.created_at > $since OR (a.created_at = $since AND a.id > $after_id)) AND ($kinds IS NULL OR a.kind IN $kinds)
RETURN a {.*, search_text: null} AS artifact
ORDER BY a.created_at, a.id LIMIT $first

// name: asset_names(kind, namespace, first) many read
// The names that a namespace has of one kind.
MATCH (s:Asset {kind: $kind, namespace: $namespace})
RETURN s.name AS name
ORDER BY name LIMIT $first
