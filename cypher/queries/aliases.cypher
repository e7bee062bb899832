// name: set_alias(id, name, now, by, reason) one write
// Point the alias of an asset at this version, and end its former target's interval.
MATCH (a:Artifact {id: $id})-[:VERSION_OF]->(s:Asset)
SET s._lock = $now
WITH a, s
OPTIONAL MATCH (s)-[old:ALIAS {name: $name}]->(former:Artifact) WHERE old.until IS NULL
WITH a, s, old, former, former.id = a.id AS same
FOREACH (_ IN CASE WHEN old IS NOT NULL AND NOT same THEN [1] ELSE [] END | SET old.until = $now)
FOREACH (_ IN CASE WHEN same THEN [] ELSE [1] END |
  CREATE (s)-[:ALIAS {name: $name, since: $now, until: NULL, by: $by, reason: $reason}]->(a))
RETURN s.id AS asset, a.id AS id, former.id AS former

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
RETURN r {.name, .since, .until, .by, .reason, artifact: a.id, version: a.version} AS interval
ORDER BY r.since DESC, r.name
