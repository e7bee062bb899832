// name: set_alias(id, name, expected, now, by, reason) one write
// Point the alias of an asset at this version, if it points to what is expected, and end its former target's interval.
MATCH (a:Artifact {id: $id})-[:VERSION_OF]->(s:Asset)
SET s._lock = $now
WITH a, s
OPTIONAL MATCH (s)-[old:ALIAS {name: $name}]->(former:Artifact) WHERE old.until IS NULL
WITH a, s, old, former, coalesce(former.id = a.id, false) AS same,
  CASE WHEN old.since > $now THEN old.since ELSE $now END AS at
WITH *, same OR $expected IS NULL OR coalesce(former.id, '') = $expected AS is_expected
WITH *, is_expected AND NOT same AND a.retracted_at IS NULL AS moves
FOREACH (_ IN CASE WHEN moves AND old IS NOT NULL THEN [1] ELSE [] END | SET old.until = at)
FOREACH (_ IN CASE WHEN moves THEN [1] ELSE [] END |
  CREATE (s)-[:ALIAS {name: $name, since: at, until: NULL, by: $by, reason: $reason}]->(a))
RETURN former.id AS former, is_expected, a.retracted_at IS NOT NULL AS is_retracted

// name: artifact_by_alias(asset, name) one read
// The version that an alias of an asset points to now.
MATCH (:Asset {id: $asset})-[r:ALIAS {name: $name}]->(a:Artifact)
WHERE r.until IS NULL
RETURN a {.*, search_text: null} AS artifact

// name: aliases_of(ids) many read
// The aliases in force that point to these artifacts.
UNWIND $ids AS id
MATCH (a:Artifact {id: id})<-[r:ALIAS]-(:Asset)
WHERE r.until IS NULL
RETURN a.id AS id, r.name AS name
ORDER BY id, name

// name: alias_history(asset) many read
// Every interval of every alias of an asset, the newest first.
MATCH (:Asset {id: $asset})-[r:ALIAS]->(a:Artifact)
RETURN r {.name, .since, .until, .by, .reason, .promotion, artifact: a.id, version: a.version} AS interval
ORDER BY r.since DESC, r.name
