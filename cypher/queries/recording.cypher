// name: known_nodes(ids) one read
// What there is of these artifacts, as columns: their digests, and whether they still wait to be described.
UNWIND $ids AS id
MATCH (a:Artifact {id: id})
WITH collect(a) AS nodes
RETURN {
  id: [n IN nodes | n.id], digest: [n IN nodes | n.digest], is_placeholder: [n IN nodes | n.is_placeholder]
} AS columns

// name: record_nodes(nodes, calls) many write
// Record artifacts that were not there; a row for each that somebody else has recorded meanwhile, in another way.
UNWIND $nodes AS node
MERGE (a:Artifact {id: node.id})
ON CREATE SET a:$(node.kind), a += node.fixed, a += node.content,
              a.created_at = $calls[node.call].now, a.created_by = $calls[node.call].by
MERGE (s:Asset {id: node.asset})
ON CREATE SET s.kind = node.kind, s.namespace = a.namespace, s.name = a.name, s.created_at = $calls[node.call].now
MERGE (a)-[:VERSION_OF]->(s)
WITH a, node
WHERE NOT node.content.is_placeholder AND (a.is_placeholder OR coalesce(a.digest, '') <> node.content.digest)
RETURN a.id AS id, a.digest AS digest, a.is_placeholder AS is_placeholder

// name: record_few(nodes, edges, calls) one write
// Record a few artifacts that were not there and edges of any type, in one statement, since each costs a journey.
// It counts the edges whose two ends exist, and lists the nodes that were there in another way.
CALL () {
  UNWIND $nodes AS node
  MERGE (a:Artifact {id: node.id})
  ON CREATE SET a:$(node.kind), a += node.fixed, a += node.content,
                a.created_at = $calls[node.call].now, a.created_by = $calls[node.call].by
  FOREACH (_ IN CASE WHEN EXISTS { (a)-[:VERSION_OF]->() } THEN [] ELSE [1] END |
    MERGE (s:Asset {id: node.asset})
    ON CREATE SET s.kind = node.kind, s.namespace = node.fixed.namespace, s.name = node.fixed.name,
                  s.created_at = $calls[node.call].now
    MERGE (a)-[:VERSION_OF]->(s))
  WITH a, node
  WHERE NOT node.content.is_placeholder AND (a.is_placeholder OR coalesce(a.digest, '') <> node.content.digest)
  RETURN collect({id: a.id, digest: a.digest, is_placeholder: a.is_placeholder}) AS known
}
CALL () {
  // A type that is written out stands in the plan, and costs a fraction of one that comes as a parameter.
  UNWIND $edges AS edge
  MATCH (source:Artifact {id: edge[0]})
  MATCH (target:Artifact {id: edge[1]})
  WITH source, target, edge[3] AS type, $calls[edge[2]] AS call
  FOREACH (_ IN CASE type WHEN 'DERIVED_FROM' THEN [1] ELSE [] END |
    MERGE (source)-[r:DERIVED_FROM]->(target) ON CREATE SET r.recorded_at = call.now, r.run_id = call.run_id)
  FOREACH (_ IN CASE type WHEN 'TRAINED_ON' THEN [1] ELSE [] END |
    MERGE (source)-[r:TRAINED_ON]->(target) ON CREATE SET r.recorded_at = call.now, r.run_id = call.run_id)
  FOREACH (_ IN CASE type WHEN 'RUNS_IN' THEN [1] ELSE [] END |
    MERGE (source)-[r:RUNS_IN]->(target) ON CREATE SET r.recorded_at = call.now, r.run_id = call.run_id)
  FOREACH (_ IN CASE type WHEN 'EVALUATED_BY' THEN [1] ELSE [] END |
    MERGE (source)-[r:EVALUATED_BY]->(target) ON CREATE SET r.recorded_at = call.now, r.run_id = call.run_id)
  FOREACH (_ IN CASE type WHEN 'REQUIRES' THEN [1] ELSE [] END |
    MERGE (source)-[r:REQUIRES]->(target) ON CREATE SET r.recorded_at = call.now, r.run_id = call.run_id)
  FOREACH (_ IN CASE type WHEN 'INCLUDES' THEN [1] ELSE [] END |
    MERGE (source)-[r:INCLUDES]->(target) ON CREATE SET r.recorded_at = call.now, r.run_id = call.run_id)
  FOREACH (_ IN CASE type WHEN 'MEASURES' THEN [1] ELSE [] END |
    MERGE (source)-[r:MEASURES]->(target) ON CREATE SET r.recorded_at = call.now, r.run_id = call.run_id)
  RETURN count(*) AS written
}
RETURN known, written

// name: describe_nodes(nodes, calls) many write
// Give placeholders their content, and return what each one's digest now is.
UNWIND $nodes AS node
MATCH (a:Artifact {id: node.id})
// Of two that describe a placeholder at once, the second reads again behind the lock, and finds it described.
SET a._lock = node.call
WITH a, node, a.is_placeholder AS waits
REMOVE a._lock
SET a += CASE WHEN waits THEN node.content ELSE {} END
SET a.created_by = CASE WHEN waits THEN $calls[node.call].by ELSE a.created_by END
SET a.described_at = CASE WHEN waits THEN $calls[node.call].now ELSE a.described_at END
RETURN a.id AS id, a.digest AS digest, a.is_placeholder AS is_placeholder

// name: record_derived_from(edges, calls) one write
// Record that things are derived from others, and count the edges whose two ends exist.
UNWIND $edges AS edge
MATCH (source:Artifact {id: edge[0]})
MATCH (target:Artifact {id: edge[1]})
MERGE (source)-[r:DERIVED_FROM]->(target)
ON CREATE SET r.recorded_at = $calls[edge[2]].now, r.run_id = $calls[edge[2]].run_id
RETURN count(*) AS written

// name: record_trained_on(edges, calls) one write
// Record what models were trained on, and count the edges whose two ends exist.
UNWIND $edges AS edge
MATCH (source:Artifact {id: edge[0]})
MATCH (target:Artifact {id: edge[1]})
MERGE (source)-[r:TRAINED_ON]->(target)
ON CREATE SET r.recorded_at = $calls[edge[2]].now, r.run_id = $calls[edge[2]].run_id
RETURN count(*) AS written

// name: record_runs_in(edges, calls) one write
// Record the environments that things run in, and count the edges whose two ends exist.
UNWIND $edges AS edge
MATCH (source:Artifact {id: edge[0]})
MATCH (target:Artifact {id: edge[1]})
MERGE (source)-[r:RUNS_IN]->(target)
ON CREATE SET r.recorded_at = $calls[edge[2]].now, r.run_id = $calls[edge[2]].run_id
RETURN count(*) AS written

// name: record_evaluated_by(edges, calls) one write
// Record the evaluations of models, and count the edges whose two ends exist.
UNWIND $edges AS edge
MATCH (source:Artifact {id: edge[0]})
MATCH (target:Artifact {id: edge[1]})
MERGE (source)-[r:EVALUATED_BY]->(target)
ON CREATE SET r.recorded_at = $calls[edge[2]].now, r.run_id = $calls[edge[2]].run_id
RETURN count(*) AS written

// name: record_requires(edges, calls) one write
// Record the feature sets that code requires, and count the edges whose two ends exist.
UNWIND $edges AS edge
MATCH (source:Artifact {id: edge[0]})
MATCH (target:Artifact {id: edge[1]})
MERGE (source)-[r:REQUIRES]->(target)
ON CREATE SET r.recorded_at = $calls[edge[2]].now, r.run_id = $calls[edge[2]].run_id
RETURN count(*) AS written

// name: record_includes(edges, calls) one write
// Record the packages that environments include, and count the edges whose two ends exist.
UNWIND $edges AS edge
MATCH (source:Artifact {id: edge[0]})
MATCH (target:Artifact {id: edge[1]})
MERGE (source)-[r:INCLUDES]->(target)
ON CREATE SET r.recorded_at = $calls[edge[2]].now, r.run_id = $calls[edge[2]].run_id
RETURN count(*) AS written

// name: record_measures(edges, calls) one write
// Record what evaluations, benchmarks and verdicts are about, and count the edges whose two ends exist.
UNWIND $edges AS edge
MATCH (source:Artifact {id: edge[0]})
MATCH (target:Artifact {id: edge[1]})
MERGE (source)-[r:MEASURES]->(target)
ON CREATE SET r.recorded_at = $calls[edge[2]].now, r.run_id = $calls[edge[2]].run_id
RETURN count(*) AS written
