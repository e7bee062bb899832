// name: rank_found(query, words, text, as_of, since, before, is_all, retracted, kinds, namespace, name, owner, tags, property, live, live_ids, alias, first) one read
// The ids of what search finds, the best first: by how the name matches, then the newest; without a query all.
CALL () {
  WITH 1 AS one WHERE $query <> ''
  CALL db.index.fulltext.queryNodes('artifact_text', $query) YIELD node AS a
  RETURN a
  UNION ALL
  WITH 1 AS one WHERE $query = ''
  MATCH (a:Artifact)
  RETURN a
}
WITH a
WHERE a.created_at <= $as_of AND ($retracted OR a.retracted_at IS NULL OR a.retracted_at > $as_of)
  AND a.created_at >= $since AND a.created_at < $before
  AND ($is_all OR (
    a.kind IN $kinds
    AND ($namespace = '' OR a.namespace = $namespace)
    AND ($name = '' OR a.name = $name)
    AND ($owner = '' OR a.created_by = $owner)
    AND all(tag IN $tags WHERE tag IN coalesce(a.tags, []))
    AND (size($property) = 0 OR any(text IN $property WHERE a.body CONTAINS text))
    AND (size($live) = 0 OR (a.id IN $live_ids) IN $live)
    AND ($alias = '' OR EXISTS {
      (a)<-[r:ALIAS {name: $alias}]-(:Asset) WHERE r.since <= $as_of AND (r.until IS NULL OR r.until > $as_of) })))
WITH a, toLower(a.name) AS name
WITH a, CASE
  WHEN name = $text THEN 3
  WHEN all(word IN $words WHERE name CONTAINS word) THEN 2
  WHEN any(word IN $words WHERE name CONTAINS word) THEN 1
  ELSE 0
END AS rank
WITH a, rank ORDER BY rank DESC, a.created_at DESC, a.id LIMIT $first
RETURN collect([a.id, rank]) AS found

// name: divide_found(query, as_of, since, before, is_all, retracted, kinds, namespace, name, owner, tags, property, live, live_ids, alias, is_whole) one read
// How many artifacts search finds, and how they divide by kind, namespace, owner and tag.
CALL () {
  WITH 1 AS one WHERE $query <> ''
  CALL db.index.fulltext.queryNodes('artifact_text', $query) YIELD node AS a
  RETURN a
  UNION ALL
  WITH 1 AS one WHERE $query = ''
  MATCH (a:Artifact)
  RETURN a
}
WITH a
WHERE a.created_at <= $as_of AND ($retracted OR a.retracted_at IS NULL OR a.retracted_at > $as_of)
  AND a.created_at >= $since AND a.created_at < $before
  AND ($is_all OR (
    a.kind IN $kinds
    AND ($namespace = '' OR a.namespace = $namespace)
    AND ($name = '' OR a.name = $name)
    AND ($owner = '' OR a.created_by = $owner)
    AND all(tag IN $tags WHERE tag IN coalesce(a.tags, []))
    AND (size($property) = 0 OR any(text IN $property WHERE a.body CONTAINS text))
    AND (size($live) = 0 OR (a.id IN $live_ids) IN $live)
    AND ($alias = '' OR EXISTS {
      (a)<-[r:ALIAS {name: $alias}]-(:Asset) WHERE r.since <= $as_of AND (r.until IS NULL OR r.until > $as_of) })))
UNWIND [['total', '']] + CASE WHEN $is_whole THEN
  [['kind', a.kind], ['namespace', a.namespace], ['owner', a.created_by]] + [tag IN coalesce(a.tags, []) | ['tag', tag]]
  ELSE [] END AS facet
WITH facet, count(*) AS many
RETURN collect([facet[0], facet[1], many]) AS counts

// name: models_made_of(ids, as_of, most) one read
// How many models each artifact went into, directly or further down, counted as far as $most.
MATCH (a:Artifact) WHERE a.id IN $ids
WITH collect(a) AS starts
UNWIND starts AS a
CALL (a) {
  MATCH p = (a)<-[r:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES*0..]-(x:Artifact)
  WHERE all(e IN r WHERE e.recorded_at <= $as_of)
  WITH x, min(length(p)) AS distance
  // Not in a WHERE: the planner would look for the models first, and then for every way to them.
  RETURN sum(CASE WHEN x:Model AND distance > 0 AND (x.retracted_at IS NULL OR x.retracted_at > $as_of)
    THEN 1 ELSE 0 END) AS many
}
RETURN collect([a.id, CASE WHEN many > $most THEN $most ELSE many END]) AS counts

// name: models_made_now(ids, most) one read
// How many models each artifact went into by now: `models_made_of` without instants, in half the time.
MATCH (a:Artifact) WHERE a.id IN $ids
WITH collect(a) AS starts
UNWIND starts AS a
CALL (a) {
  MATCH (a)<-[:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES*0..]-(x:Artifact)
  WITH DISTINCT a, x
  WITH a, x WHERE x:Model AND NOT x:Retracted AND x <> a
  RETURN count(x) AS many
}
RETURN collect([a.id, CASE WHEN many > $most THEN $most ELSE many END]) AS counts

// name: count_namespaces() many read
// The namespaces, with the kinds in each, how many names of a kind there are and how many versions.
MATCH (a:Artifact)
WHERE a.retracted_at IS NULL AND NOT a.is_placeholder
WITH a.namespace AS namespace, a.kind AS kind, count(*) AS versions, count(DISTINCT a.name) AS names
RETURN namespace, collect([kind, names, versions]) AS kinds
ORDER BY namespace

// name: await_search_index() none read
// Wait until everything that was recorded can be found.
CALL db.index.fulltext.awaitEventuallyConsistentIndexRefresh()
