// name: tally_down(of, types, as_of, is_now, is_plain, stop_kinds, stop_ids, show_stops, depth, is_all, retracted, kinds, namespace, name, owner, tags, property, live, live_ids, alias, by_owner) one read
// How many artifacts depend on these, by distance and kind; no kind stands for starts and what is not shown.
// bounds: 2 3 4 6 8 12 24
MATCH (a:Artifact) WHERE a.id IN $of
WITH collect(a) AS starts
UNWIND starts AS a
WITH a
MATCH p = (a)<-[r:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES*0..]-(x:Artifact)
WHERE all(e IN r WHERE ($is_now OR e.recorded_at <= $as_of) AND ($is_plain OR (
  type(e) IN $types AND NOT startNode(e).kind IN $stop_kinds AND NOT startNode(e).id IN $stop_ids)))
WITH x, min(length(p)) AS distance
UNWIND [[x, distance]] + CASE WHEN EXISTS { (x)-[:EVALUATED_BY|MEASURES]-(:Evaluation) } THEN
    [(x)-[e:EVALUATED_BY]->(v:Evaluation) WHERE 'EVALUATED_BY' IN $types AND ($is_now OR e.recorded_at <= $as_of)
      AND ($show_stops OR NOT (v.kind IN $stop_kinds OR v.id IN $stop_ids)) | [v, distance + 1]]
    + [(x)<-[e:MEASURES]-(v:Evaluation) WHERE 'MEASURES' IN $types AND ($is_now OR e.recorded_at <= $as_of)
      AND ($show_stops OR NOT (v.kind IN $stop_kinds OR v.id IN $stop_ids)) | [v, distance + 1]]
  ELSE [] END + CASE
  WHEN $is_plain OR NOT $show_stops OR (distance > 0 AND (x.kind IN $stop_kinds OR x.id IN $stop_ids)) THEN []
  ELSE [(x)<-[e:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES]-(v:Artifact)
    WHERE type(e) IN $types AND ($is_now OR e.recorded_at <= $as_of)
    AND (v.kind IN $stop_kinds OR v.id IN $stop_ids) | [v, distance + 1]]
END AS step
WITH step[0] AS x, min(step[1]) AS distance
WITH x, distance, CASE WHEN distance > 0
  AND distance <= $depth AND ($retracted OR NOT x:Retracted OR x.retracted_at > $as_of)
  AND ($is_all OR (
    x.kind IN $kinds
    AND ($namespace = '' OR x.namespace = $namespace)
    AND ($name = '' OR x.name = $name)
    AND ($owner = '' OR x.created_by = $owner)
    AND all(tag IN $tags WHERE tag IN coalesce(x.tags, []))
    AND (size($property) = 0 OR any(text IN $property WHERE x.body CONTAINS text))
    AND (size($live) = 0 OR (x.id IN $live_ids) IN $live)
    AND ($alias = '' OR EXISTS {
      (x)<-[r:ALIAS {name: $alias}]-(:Asset) WHERE r.since <= $as_of AND (r.until IS NULL OR r.until > $as_of) })))
  THEN x.kind END AS kind
WITH distance, kind, CASE WHEN $by_owner AND kind IS NOT NULL THEN x.created_by END AS owner, count(*) AS many
RETURN collect([distance, kind, owner, many]) AS levels

// name: page_down(of, types, as_of, is_now, is_plain, stop_kinds, stop_ids, show_stops, depth, is_all, retracted, kinds, namespace, name, owner, tags, property, live, live_ids, alias, after_distance, after_id, first, columns) one read
// A page of what depends on these artifacts, by distance, then id, as columns.
// bounds: 1 2 3 4 6 8 12 24
MATCH (a:Artifact) WHERE a.id IN $of
WITH collect(a) AS starts
UNWIND starts AS a
WITH a
MATCH p = (a)<-[r:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES*0..]-(x:Artifact)
WHERE all(e IN r WHERE ($is_now OR e.recorded_at <= $as_of) AND ($is_plain OR (
  type(e) IN $types AND NOT startNode(e).kind IN $stop_kinds AND NOT startNode(e).id IN $stop_ids)))
WITH x, min(length(p)) AS distance
UNWIND [[x, distance]] + CASE WHEN distance < $depth AND EXISTS { (x)-[:EVALUATED_BY|MEASURES]-(:Evaluation) } THEN
    [(x)-[e:EVALUATED_BY]->(v:Evaluation) WHERE 'EVALUATED_BY' IN $types AND ($is_now OR e.recorded_at <= $as_of)
      AND ($show_stops OR NOT (v.kind IN $stop_kinds OR v.id IN $stop_ids)) | [v, distance + 1]]
    + [(x)<-[e:MEASURES]-(v:Evaluation) WHERE 'MEASURES' IN $types AND ($is_now OR e.recorded_at <= $as_of)
      AND ($show_stops OR NOT (v.kind IN $stop_kinds OR v.id IN $stop_ids)) | [v, distance + 1]]
  ELSE [] END + CASE
  WHEN $is_plain OR NOT $show_stops OR (distance > 0 AND (x.kind IN $stop_kinds OR x.id IN $stop_ids)) THEN []
  ELSE [(x)<-[e:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES]-(v:Artifact)
    WHERE type(e) IN $types AND ($is_now OR e.recorded_at <= $as_of)
    AND (v.kind IN $stop_kinds OR v.id IN $stop_ids) | [v, distance + 1]]
END AS step
WITH step[0] AS x, min(step[1]) AS distance
WHERE distance > 0 AND (distance > $after_distance OR (distance = $after_distance AND x.id > $after_id))
  AND distance <= $depth AND ($retracted OR NOT x:Retracted OR x.retracted_at > $as_of)
  AND ($is_all OR (
    x.kind IN $kinds
    AND ($namespace = '' OR x.namespace = $namespace)
    AND ($name = '' OR x.name = $name)
    AND ($owner = '' OR x.created_by = $owner)
    AND all(tag IN $tags WHERE tag IN coalesce(x.tags, []))
    AND (size($property) = 0 OR any(text IN $property WHERE x.body CONTAINS text))
    AND (size($live) = 0 OR (x.id IN $live_ids) IN $live)
    AND ($alias = '' OR EXISTS {
      (x)<-[r:ALIAS {name: $alias}]-(:Asset) WHERE r.since <= $as_of AND (r.until IS NULL OR r.until > $as_of) })))
WITH x, distance ORDER BY distance, x.id LIMIT $first
WITH collect(x) AS found, collect(distance) AS distances
RETURN {
  distance: distances, id: [n IN found | n.id],
  kind: [n IN CASE WHEN 'kind' IN $columns THEN found ELSE [] END | n.kind],
  namespace: [n IN CASE WHEN 'namespace' IN $columns THEN found ELSE [] END | n.namespace],
  name: [n IN CASE WHEN 'name' IN $columns THEN found ELSE [] END | n.name],
  version: [n IN CASE WHEN 'version' IN $columns THEN found ELSE [] END | n.version],
  digest: [n IN CASE WHEN 'digest' IN $columns THEN found ELSE [] END | n.digest],
  created_at: [n IN CASE WHEN 'created_at' IN $columns THEN found ELSE [] END | toString(n.created_at)],
  created_by: [n IN CASE WHEN 'created_by' IN $columns THEN found ELSE [] END | n.created_by],
  description: [n IN CASE WHEN 'description' IN $columns THEN found ELSE [] END | n.description],
  tags: [n IN CASE WHEN 'tags' IN $columns THEN found ELSE [] END | n.tags],
  retracted_at: [n IN CASE WHEN 'retracted_at' IN $columns THEN found ELSE [] END | toString(n.retracted_at)],
  retracted_reason: [n IN CASE WHEN 'retracted_reason' IN $columns THEN found ELSE [] END | n.retracted_reason],
  is_placeholder: [n IN CASE WHEN 'is_placeholder' IN $columns THEN found ELSE [] END | n.is_placeholder],
  body: [n IN CASE WHEN 'body' IN $columns THEN found ELSE [] END | n.body]
} AS columns

// name: tally_up(of, types, as_of, is_now, is_plain, stop_kinds, stop_ids, show_stops, depth, is_all, retracted, kinds, namespace, name, owner, tags, property, live, live_ids, alias, by_owner) one read
// How many artifacts these depend on, by distance and kind; no kind stands for starts and what is not shown.
// bounds: 2 3 4 6 8 12 24
MATCH (s:Artifact) WHERE s.id IN $of
UNWIND [[s, 0]] + CASE WHEN s:Evaluation THEN
  [(s)<-[e:EVALUATED_BY]-(m:Artifact) WHERE 'EVALUATED_BY' IN $types AND ($is_now OR e.recorded_at <= $as_of) | [m, 1]]
  + [(s)-[e:MEASURES]->(m:Artifact) WHERE 'MEASURES' IN $types AND ($is_now OR e.recorded_at <= $as_of) | [m, 1]]
  ELSE [] END AS root
WITH root[0] AS a, min(root[1]) AS offset
WITH a, offset, offset > 0 AND (a.kind IN $stop_kinds OR a.id IN $stop_ids) AS is_stop
WHERE $show_stops OR NOT is_stop
MATCH p = (a)-[r:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES*0..]->(x:Artifact)
WHERE all(e IN r WHERE NOT is_stop AND ($is_now OR e.recorded_at <= $as_of) AND ($is_plain OR (
  type(e) IN $types AND NOT endNode(e).kind IN $stop_kinds AND NOT endNode(e).id IN $stop_ids)))
WITH x, offset, min(length(p)) AS steps
WITH x, min(offset + steps) AS distance
UNWIND [[x, distance]] + CASE
  WHEN $is_plain OR NOT $show_stops OR (distance > 0 AND (x.kind IN $stop_kinds OR x.id IN $stop_ids)) THEN []
  ELSE [(x)-[e:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES]->(v:Artifact)
    WHERE type(e) IN $types AND ($is_now OR e.recorded_at <= $as_of)
    AND (v.kind IN $stop_kinds OR v.id IN $stop_ids) | [v, distance + 1]]
END AS step
WITH step[0] AS x, min(step[1]) AS distance
WITH x, distance, CASE WHEN distance > 0
  AND distance <= $depth AND ($retracted OR NOT x:Retracted OR x.retracted_at > $as_of)
  AND ($is_all OR (
    x.kind IN $kinds
    AND ($namespace = '' OR x.namespace = $namespace)
    AND ($name = '' OR x.name = $name)
    AND ($owner = '' OR x.created_by = $owner)
    AND all(tag IN $tags WHERE tag IN coalesce(x.tags, []))
    AND (size($property) = 0 OR any(text IN $property WHERE x.body CONTAINS text))
    AND (size($live) = 0 OR (x.id IN $live_ids) IN $live)
    AND ($alias = '' OR EXISTS {
      (x)<-[r:ALIAS {name: $alias}]-(:Asset) WHERE r.since <= $as_of AND (r.until IS NULL OR r.until > $as_of) })))
  THEN x.kind END AS kind
WITH distance, kind, CASE WHEN $by_owner AND kind IS NOT NULL THEN x.created_by END AS owner, count(*) AS many
RETURN collect([distance, kind, owner, many]) AS levels

// name: page_up(of, types, as_of, is_now, is_plain, stop_kinds, stop_ids, show_stops, depth, is_all, retracted, kinds, namespace, name, owner, tags, property, live, live_ids, alias, after_distance, after_id, first, columns) one read
// A page of what these artifacts depend on, by distance, then id, as columns.
// bounds: 1 2 3 4 6 8 12 24
MATCH (s:Artifact) WHERE s.id IN $of
UNWIND [[s, 0]] + CASE WHEN s:Evaluation THEN
  [(s)<-[e:EVALUATED_BY]-(m:Artifact) WHERE 'EVALUATED_BY' IN $types AND ($is_now OR e.recorded_at <= $as_of) | [m, 1]]
  + [(s)-[e:MEASURES]->(m:Artifact) WHERE 'MEASURES' IN $types AND ($is_now OR e.recorded_at <= $as_of) | [m, 1]]
  ELSE [] END AS root
WITH root[0] AS a, min(root[1]) AS offset
WITH a, offset, offset > 0 AND (a.kind IN $stop_kinds OR a.id IN $stop_ids) AS is_stop
WHERE $show_stops OR NOT is_stop
MATCH p = (a)-[r:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES*0..]->(x:Artifact)
WHERE all(e IN r WHERE NOT is_stop AND ($is_now OR e.recorded_at <= $as_of) AND ($is_plain OR (
  type(e) IN $types AND NOT endNode(e).kind IN $stop_kinds AND NOT endNode(e).id IN $stop_ids)))
WITH x, offset, min(length(p)) AS steps
WITH x, min(offset + steps) AS distance
UNWIND [[x, distance]] + CASE
  WHEN $is_plain OR NOT $show_stops OR (distance > 0 AND (x.kind IN $stop_kinds OR x.id IN $stop_ids)) THEN []
  ELSE [(x)-[e:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES]->(v:Artifact)
    WHERE type(e) IN $types AND ($is_now OR e.recorded_at <= $as_of)
    AND (v.kind IN $stop_kinds OR v.id IN $stop_ids) | [v, distance + 1]]
END AS step
WITH step[0] AS x, min(step[1]) AS distance
WHERE distance > 0 AND (distance > $after_distance OR (distance = $after_distance AND x.id > $after_id))
  AND distance <= $depth AND ($retracted OR NOT x:Retracted OR x.retracted_at > $as_of)
  AND ($is_all OR (
    x.kind IN $kinds
    AND ($namespace = '' OR x.namespace = $namespace)
    AND ($name = '' OR x.name = $name)
    AND ($owner = '' OR x.created_by = $owner)
    AND all(tag IN $tags WHERE tag IN coalesce(x.tags, []))
    AND (size($property) = 0 OR any(text IN $property WHERE x.body CONTAINS text))
    AND (size($live) = 0 OR (x.id IN $live_ids) IN $live)
    AND ($alias = '' OR EXISTS {
      (x)<-[r:ALIAS {name: $alias}]-(:Asset) WHERE r.since <= $as_of AND (r.until IS NULL OR r.until > $as_of) })))
WITH x, distance ORDER BY distance, x.id LIMIT $first
WITH collect(x) AS found, collect(distance) AS distances
RETURN {
  distance: distances, id: [n IN found | n.id],
  kind: [n IN CASE WHEN 'kind' IN $columns THEN found ELSE [] END | n.kind],
  namespace: [n IN CASE WHEN 'namespace' IN $columns THEN found ELSE [] END | n.namespace],
  name: [n IN CASE WHEN 'name' IN $columns THEN found ELSE [] END | n.name],
  version: [n IN CASE WHEN 'version' IN $columns THEN found ELSE [] END | n.version],
  digest: [n IN CASE WHEN 'digest' IN $columns THEN found ELSE [] END | n.digest],
  created_at: [n IN CASE WHEN 'created_at' IN $columns THEN found ELSE [] END | toString(n.created_at)],
  created_by: [n IN CASE WHEN 'created_by' IN $columns THEN found ELSE [] END | n.created_by],
  description: [n IN CASE WHEN 'description' IN $columns THEN found ELSE [] END | n.description],
  tags: [n IN CASE WHEN 'tags' IN $columns THEN found ELSE [] END | n.tags],
  retracted_at: [n IN CASE WHEN 'retracted_at' IN $columns THEN found ELSE [] END | toString(n.retracted_at)],
  retracted_reason: [n IN CASE WHEN 'retracted_reason' IN $columns THEN found ELSE [] END | n.retracted_reason],
  is_placeholder: [n IN CASE WHEN 'is_placeholder' IN $columns THEN found ELSE [] END | n.is_placeholder],
  body: [n IN CASE WHEN 'body' IN $columns THEN found ELSE [] END | n.body]
} AS columns

// name: levels_down(of, as_of, is_now, retracted) one read
// How many artifacts depend on these, by distance and kind, where nothing narrows the walk: `tally_down`, but faster.
MATCH (a:Artifact) WHERE a.id IN $of
WITH collect(a) AS starts
UNWIND starts AS a
WITH a
MATCH p = (a)<-[r:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES*0..]-(x:Artifact)
WHERE all(e IN r WHERE $is_now OR e.recorded_at <= $as_of)
WITH x, min(length(p)) AS distance
WITH distance, x.kind AS kind, $retracted OR NOT x:Retracted OR x.retracted_at > $as_of AS is_shown,
  count(*) AS many, collect(CASE WHEN x:Model OR x:TrainingSet OR x:MetricDefinition OR x:Predictions OR x:Dataset OR x:Deployment
    THEN x END) AS evaluated
WITH collect([distance, CASE WHEN distance > 0 AND is_shown THEN kind END, null, many]) AS levels,
  collect([distance, evaluated]) AS reached
CALL (reached) {
  UNWIND reached AS each
  WITH each[0] AS distance, each[1] AS evaluated
  UNWIND evaluated AS x
  MATCH (x)-[e:EVALUATED_BY|MEASURES]-(v:Evaluation)
  WHERE ($is_now OR e.recorded_at <= $as_of) AND NOT v.id IN $of
  WITH v, min(distance) + 1 AS distance
  WITH distance, CASE WHEN $retracted OR NOT v:Retracted OR v.retracted_at > $as_of THEN v.kind END AS kind,
    count(*) AS many
  RETURN collect([distance, kind, null, many]) AS evaluations
}
RETURN levels + evaluations AS levels

// name: levels_up(of, as_of, is_now, retracted) one read
// How many artifacts these depend on, by distance and kind, where nothing narrows the walk: `tally_up`, but faster.
MATCH (s:Artifact) WHERE s.id IN $of
UNWIND [[s, 0]] + CASE WHEN s:Evaluation THEN
  [(s)<-[e:EVALUATED_BY]-(m:Artifact) WHERE $is_now OR e.recorded_at <= $as_of | [m, 1]]
  + [(s)-[e:MEASURES]->(m:Artifact) WHERE $is_now OR e.recorded_at <= $as_of | [m, 1]]
  ELSE [] END AS root
WITH root[0] AS a, min(root[1]) AS offset
MATCH p = (a)-[r:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES*0..]->(x:Artifact)
WHERE all(e IN r WHERE $is_now OR e.recorded_at <= $as_of)
WITH x, offset, min(length(p)) AS steps
WITH x, min(offset + steps) AS distance
WITH distance, CASE WHEN distance > 0 AND ($retracted OR NOT x:Retracted OR x.retracted_at > $as_of)
  THEN x.kind END AS kind, count(*) AS many
RETURN collect([distance, kind, null, many]) AS levels

// name: kinds_down(of, retracted) one read
// How many artifacts depend on these now, by kind, where nothing narrows the walk: `levels_down` without distances.
// The starts are among them, and are given once more to be taken off.
MATCH (a:Artifact) WHERE a.id IN $of
WITH collect(a) AS starts
UNWIND starts AS a
WITH a
MATCH (a)<-[:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES*0..]-(x:Artifact)
WITH DISTINCT x
WITH x.kind AS kind, $retracted OR NOT x:Retracted AS is_shown, count(*) AS many,
  collect(CASE WHEN x:Model OR x:TrainingSet OR x:MetricDefinition OR x:Predictions OR x:Dataset OR x:Deployment
    THEN x END) AS evaluated
WITH collect([CASE WHEN is_shown THEN kind END, many]) AS kinds, collect(evaluated) AS reached
CALL (reached) {
  UNWIND reached AS evaluated
  UNWIND evaluated AS x
  MATCH (x)-[:EVALUATED_BY|MEASURES]-(v:Evaluation)
  WITH DISTINCT v WHERE NOT v.id IN $of
  WITH CASE WHEN $retracted OR NOT v:Retracted THEN v.kind END AS kind, count(*) AS many
  RETURN collect([kind, many]) AS evaluations
}
CALL () {
  MATCH (s:Artifact) WHERE s.id IN $of
  RETURN collect(CASE WHEN $retracted OR NOT s:Retracted THEN s.kind ELSE '' END) AS starts
}
RETURN kinds + evaluations AS kinds, starts

// name: kinds_up(of, retracted) one read
// How many artifacts these depend on now, by kind, where nothing narrows the walk: `levels_up` without distances.
// The starts are among them, and are given once more to be taken off.
MATCH (s:Artifact) WHERE s.id IN $of
UNWIND [s] + CASE WHEN s:Evaluation THEN
  [(s)<-[:EVALUATED_BY]-(m:Artifact) | m] + [(s)-[:MEASURES]->(m:Artifact) | m] ELSE [] END AS root
WITH collect(DISTINCT root) AS roots
UNWIND roots AS a
WITH a
MATCH (a)-[:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES*0..]->(x:Artifact)
WITH DISTINCT x
WITH CASE WHEN $retracted OR NOT x:Retracted THEN x.kind END AS kind, count(*) AS many
WITH collect([kind, many]) AS kinds
CALL () {
  MATCH (s:Artifact) WHERE s.id IN $of
  RETURN collect(CASE WHEN $retracted OR NOT s:Retracted THEN s.kind ELSE '' END) AS starts
}
RETURN kinds, starts

// name: live_deployments(as_of) many read
// The deployments that serve, each with the ids of itself and of all that it depends on.
MATCH (:Endpoint)-[s:SERVES]->(d:Deployment)
WHERE s.since <= $as_of AND (s.until IS NULL OR s.until > $as_of)
WITH DISTINCT d
MATCH (d)-[r:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES*0..]->(x:Artifact)
WHERE all(e IN r WHERE e.recorded_at <= $as_of)
WITH DISTINCT d, x
RETURN d.id AS deployment, collect(x.id) AS ids
ORDER BY deployment

// name: edges_among(ids, types, as_of, first) one read
// The edges between artifacts that a walk has found, in the order of their ends.
MATCH (a:Artifact) WHERE a.id IN $ids
MATCH (a)-[e:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES|EVALUATED_BY|MEASURES]->(b:Artifact)
WHERE b.id IN $ids AND type(e) IN $types AND e.recorded_at <= $as_of
WITH type(e) AS type, a.id AS source, b.id AS target ORDER BY source, target, type LIMIT $first
RETURN collect([type, source, target]) AS links

// name: shortest_paths(sources, targets, as_of, first) many read
// The shortest ways from artifacts to what they depend on, 51 a pair at the most: Cypher takes no parameter there.
// An evaluation depends on its model, whose edge points to it, and on what it measures.
CALL () {
  MATCH (a:Artifact), (b:Artifact) WHERE a.id IN $sources AND b.id IN $targets AND a <> b
  MATCH p = SHORTEST 51 (a)-[e:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES WHERE e.recorded_at <= $as_of]->+(b)
  RETURN p
  UNION ALL
  MATCH (a:Evaluation&Artifact), (b:Artifact) WHERE a.id IN $sources AND b.id IN $targets AND a <> b
  MATCH p = SHORTEST 51 (a)<-[f:EVALUATED_BY WHERE f.recorded_at <= $as_of]-(:Artifact)
    -[e:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES WHERE e.recorded_at <= $as_of]->*(b)
  RETURN p
  UNION ALL
  MATCH (a:Evaluation&Artifact), (b:Artifact) WHERE a.id IN $sources AND b.id IN $targets AND a <> b
  MATCH p = SHORTEST 51 (a)-[f:MEASURES WHERE f.recorded_at <= $as_of]->(:Artifact)
    -[e:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES WHERE e.recorded_at <= $as_of]->*(b)
  RETURN p
}
WITH [n IN nodes(p) | n.id] AS nodes, [r IN relationships(p) | [type(r), startNode(r).id, endNode(r).id]] AS links
RETURN nodes, links
ORDER BY size(links), nodes, links LIMIT $first
