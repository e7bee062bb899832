// name: walk_down(of, as_of, most) one read
// All that depends on these artifacts, by the fewest steps to it; evaluations hang on as leaves.
MATCH (a:Artifact) WHERE a.id IN $of
WITH collect(a) AS starts
CALL (starts) {
  UNWIND starts AS a
  WITH a
  MATCH p = (a)<-[r:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES*1..]-(x:Artifact)
  WHERE all(e IN r WHERE e.recorded_at <= $as_of)
  RETURN x, min(length(p)) AS distance
}
WITH starts, collect({node: x, distance: distance}) AS reached
WITH starts, [s IN starts | {node: s, distance: 0}] + reached AS found
CALL (found) {
  UNWIND found AS each
  RETURN each.node AS x, each.distance AS distance
  UNION ALL
  UNWIND found AS each
  WITH each.node AS n, each.distance AS d
  MATCH (n)-[e:EVALUATED_BY]->(v:Evaluation) WHERE e.recorded_at <= $as_of
  RETURN v AS x, d + 1 AS distance
  UNION ALL
  UNWIND found AS each
  WITH each.node AS n, each.distance AS d
  MATCH (n)<-[e:MEASURES]-(v:Evaluation) WHERE e.recorded_at <= $as_of
  RETURN v AS x, d + 1 AS distance
}
WITH starts, x, min(distance) AS distance
WHERE NOT x IN starts
WITH x, distance ORDER BY distance, x.id LIMIT $most
RETURN collect(x.id) AS ids, collect(x.kind) AS kinds, collect(distance) AS distances,
       collect(coalesce(x.retracted_at <= $as_of, false)) AS retracted

// name: walk_up(of, as_of, most) one read
// All that these artifacts depend on, by the fewest steps to it; an evaluation depends on its model and its bars.
MATCH (a:Artifact) WHERE a.id IN $of
WITH collect(a) AS starts
CALL (starts) {
  UNWIND starts AS s
  RETURN s AS root, 0 AS offset
  UNION
  UNWIND starts AS s
  WITH s
  MATCH (s)<-[e:EVALUATED_BY]-(m:Artifact) WHERE e.recorded_at <= $as_of
  RETURN m AS root, 1 AS offset
  UNION
  UNWIND starts AS s
  WITH s
  MATCH (s)-[e:MEASURES]->(m:Artifact) WHERE e.recorded_at <= $as_of
  RETURN m AS root, 1 AS offset
}
WITH starts, collect({node: root, distance: offset}) AS roots
CALL (roots) {
  UNWIND roots AS root
  WITH root.node AS a, root.distance AS offset
  MATCH p = (a)-[r:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES*1..]->(x:Artifact)
  WHERE all(e IN r WHERE e.recorded_at <= $as_of)
  WITH x, offset, min(length(p)) AS steps
  RETURN x, offset + steps AS distance
}
WITH starts, roots, collect({node: x, distance: distance}) AS reached
UNWIND roots + reached AS each
WITH starts, each.node AS x, min(each.distance) AS distance
WHERE NOT x IN starts
WITH x, distance ORDER BY distance, x.id LIMIT $most
RETURN collect(x.id) AS ids, collect(x.kind) AS kinds, collect(distance) AS distances,
       collect(coalesce(x.retracted_at <= $as_of, false)) AS retracted

// name: shortest_paths(source, target, first) many read
// The shortest paths from an artifact to one that it depends on, 51 at the most: Cypher takes no parameter there.
MATCH (a:Artifact {id: $source}), (b:Artifact {id: $target})
MATCH p = SHORTEST 51 (a)-[:DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES]->+(b)
RETURN [n IN nodes(p) | n.id] AS nodes, [r IN relationships(p) | type(r)] AS types
ORDER BY size(types), nodes LIMIT $first
