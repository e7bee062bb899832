// name: record_derived_from(edges) one write
// Record that things are derived from others, and count the edges whose two ends exist; a type stands in the plan, where it costs least.
UNWIND $edges AS edge
MATCH (a:Artifact {id: edge.source})
MATCH (b:Artifact {id: edge.target})
MERGE (a)-[r:DERIVED_FROM]->(b)
ON CREATE SET r.recorded_at = edge.now, r.run_id = edge.run_id
RETURN count(*) AS written

// name: record_trained_on(edges) one write
// Record what models were trained on, and count the edges whose two ends exist; a type stands in the plan, where it costs least.
UNWIND $edges AS edge
MATCH (a:Artifact {id: edge.source})
MATCH (b:Artifact {id: edge.target})
MERGE (a)-[r:TRAINED_ON]->(b)
ON CREATE SET r.recorded_at = edge.now, r.run_id = edge.run_id
RETURN count(*) AS written

// name: record_runs_in(edges) one write
// Record where things run, and count the edges whose two ends exist; a type stands in the plan, where it costs least.
UNWIND $edges AS edge
MATCH (a:Artifact {id: edge.source})
MATCH (b:Artifact {id: edge.target})
MERGE (a)-[r:RUNS_IN]->(b)
ON CREATE SET r.recorded_at = edge.now, r.run_id = edge.run_id
RETURN count(*) AS written

// name: record_evaluated_by(edges) one write
// Record the evaluations of models, and count the edges whose two ends exist; a type stands in the plan, where it costs least.
UNWIND $edges AS edge
MATCH (a:Artifact {id: edge.source})
MATCH (b:Artifact {id: edge.target})
MERGE (a)-[r:EVALUATED_BY]->(b)
ON CREATE SET r.recorded_at = edge.now, r.run_id = edge.run_id
RETURN count(*) AS written

// name: record_requires(edges) one write
// Record what code requires, and count the edges whose two ends exist; a type stands in the plan, where it costs least.
UNWIND $edges AS edge
MATCH (a:Artifact {id: edge.source})
MATCH (b:Artifact {id: edge.target})
MERGE (a)-[r:REQUIRES]->(b)
ON CREATE SET r.recorded_at = edge.now, r.run_id = edge.run_id
RETURN count(*) AS written

// name: record_includes(edges) one write
// Record what environments include, and count the edges whose two ends exist; a type stands in the plan, where it costs least.
UNWIND $edges AS edge
MATCH (a:Artifact {id: edge.source})
MATCH (b:Artifact {id: edge.target})
MERGE (a)-[r:INCLUDES]->(b)
ON CREATE SET r.recorded_at = edge.now, r.run_id = edge.run_id
RETURN count(*) AS written

// name: record_measures(edges) one write
// Record what was measured, and count the edges whose two ends exist; a type stands in the plan, where it costs least.
UNWIND $edges AS edge
MATCH (a:Artifact {id: edge.source})
MATCH (b:Artifact {id: edge.target})
MERGE (a)-[r:MEASURES]->(b)
ON CREATE SET r.recorded_at = edge.now, r.run_id = edge.run_id
RETURN count(*) AS written

// name: edges_without_ends(edges) many read
// Those of these edges that name an artifact which is not there.
UNWIND $edges AS edge
WITH edge WHERE NOT EXISTS { (:Artifact {id: edge.source}) } OR NOT EXISTS { (:Artifact {id: edge.target}) }
RETURN edge.source AS source, edge.target AS target
