// name: search_artifacts(query, kinds, after_score, after_id, first) many read
// A page of what full-text search finds, the best first.
CALL db.index.fulltext.queryNodes('artifact_text', $query) YIELD node AS a, score
WHERE ($kinds IS NULL OR a.kind IN $kinds)
  AND a.retracted_at IS NULL
  AND ($after_score IS NULL OR score < $after_score OR (score = $after_score AND a.id > $after_id))
RETURN a {.*, search_text: null} AS artifact, score
ORDER BY score DESC, a.id LIMIT $first

// name: count_found(query, kinds) one read
// How many artifacts full-text search finds.
CALL db.index.fulltext.queryNodes('artifact_text', $query) YIELD node AS a
WHERE ($kinds IS NULL OR a.kind IN $kinds) AND a.retracted_at IS NULL
RETURN count(a) AS total

// name: await_search_index() none read
// Wait until everything that was recorded can be found.
CALL db.index.fulltext.awaitEventuallyConsistentIndexRefresh()
