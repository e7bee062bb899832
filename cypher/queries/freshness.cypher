// name: upstream_of(ids, as_of) one read
// All that these artifacts were made of, without packages, and what each stands on directly, as columns.
MATCH (s:Artifact) WHERE s.id IN $ids
WITH collect(s) AS starts
UNWIND starts AS s
MATCH p = (s)-[r:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES*0..]->(x:Artifact)
WHERE all(e IN r WHERE e.recorded_at <= $as_of)
WITH x, min(length(p)) AS distance
WITH collect(x) AS found
RETURN {
  id: [n IN found | n.id], kind: [n IN found | n.kind], namespace: [n IN found | n.namespace],
  name: [n IN found | n.name], created_at: [n IN found | toString(n.created_at)],
  inputs: [n IN found | [(n)-[e:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES]->(y:Artifact)
    WHERE e.recorded_at <= $as_of | y.id]]
} AS columns

// name: newest_of(assets, as_of) one read
// Of each name the version that was recorded last by then, and neither retracted nor a placeholder.
UNWIND $assets AS asset
MATCH (:Asset {id: asset})<-[:VERSION_OF]-(n:Artifact)
WHERE n.created_at <= $as_of AND NOT n.is_placeholder AND (n.retracted_at IS NULL OR n.retracted_at > $as_of)
WITH asset, n ORDER BY n.created_at DESC, n.id
WITH asset, head(collect(n.id)) AS id
RETURN collect([asset, id]) AS newest

// name: versions_in_use(kinds, namespace, every, as_of, first) one read
// The artifacts of a namespace that are the newest of their name, or that an alias or a live deployment holds; or all.
MATCH (a:Artifact)
WHERE a.kind IN $kinds AND a.namespace = $namespace AND a.created_at <= $as_of AND NOT a.is_placeholder
  AND (a.retracted_at IS NULL OR a.retracted_at > $as_of)
  AND ($every
    OR EXISTS { (a)<-[r:ALIAS]-(:Asset) WHERE r.since <= $as_of AND (r.until IS NULL OR r.until > $as_of) }
    OR EXISTS { (a)<-[:DERIVED_FROM*0..1]-(:Deployment)<-[v:SERVES]-(:Endpoint)
      WHERE v.since <= $as_of AND (v.until IS NULL OR v.until > $as_of) }
    OR NOT EXISTS { (a)-[:VERSION_OF]->(:Asset)<-[:VERSION_OF]-(n:Artifact)
      WHERE n.created_at > a.created_at AND n.created_at <= $as_of AND NOT n.is_placeholder
      AND (n.retracted_at IS NULL OR n.retracted_at > $as_of) })
WITH a.id AS id ORDER BY a.name, a.created_at, a.id LIMIT $first
RETURN collect(id) AS ids
