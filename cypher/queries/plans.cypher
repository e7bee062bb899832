// name: create_plan(plan, now) one write
// Write a plan down with what it is about, tied to the firing whose id is its key; a known key gives the first plan back.
MERGE (p:Plan {idempotency_key: $plan.idempotency_key})
ON CREATE SET p += $plan, p.is_new = true
WITH p, coalesce(p.is_new, false) AS created
REMOVE p.is_new
WITH p, created
CALL (p, created) {
  UNWIND CASE WHEN created THEN $plan.of ELSE [] END AS id
  MATCH (a:Artifact {id: id})
  MERGE (p)-[c:CONCERNS]->(a) ON CREATE SET c.recorded_at = $now
  RETURN count(*) AS linked
}
CALL (p) {
  MATCH (f:Firing {id: p.idempotency_key})
  MERGE (f)-[s:STARTED]->(p) ON CREATE SET s.recorded_at = $now
  FOREACH (_ IN CASE WHEN f.state = 'STARTING' THEN [1] ELSE [] END | SET f.state = 'STARTED', f.started_at = $now)
  RETURN count(*) AS fired
}
RETURN p {.*} AS plan, linked

// name: plan_by_id(id) one read
// One plan.
MATCH (p:Plan {id: $id})
RETURN p {.*} AS plan

// name: plan_by_key(key) one read
// The plan that was made with an idempotency key.
MATCH (p:Plan {idempotency_key: $key})
RETURN p {.*} AS plan

// name: running_plans() many read
// The plans that are under way, the oldest first.
MATCH (p:Plan {state: 'RUNNING'})
RETURN p {.*} AS plan
ORDER BY p.created_at, p.id

// name: page_plans(states, after_at, after_id, first) many read
// A page of plans, the newest first; a filter that is null filters nothing.
MATCH (p:Plan)
WHERE ($states IS NULL OR p.state IN $states)
  AND ($after_at IS NULL OR p.created_at < $after_at OR (p.created_at = $after_at AND p.id > $after_id))
RETURN p {.*} AS plan
ORDER BY p.created_at DESC, p.id LIMIT $first

// name: count_plans(states) one read
// How many plans there are in these states.
MATCH (p:Plan)
WHERE $states IS NULL OR p.state IN $states
RETURN count(p) AS total

// name: save_plan(id, revision, changes, runs, now) one write
// Change a plan as it was read, and note the runs that it has started; no row when somebody changed it since.
MATCH (p:Plan {id: $id})
SET p._lock = $now
WITH p WHERE p.revision = $revision
SET p += $changes, p.revision = $revision + 1, p.updated_at = $now
WITH p
CALL (p) {
  UNWIND $runs AS id
  MATCH (r:Run {id: id})
  MERGE (p)-[s:STARTED]->(r) ON CREATE SET s.recorded_at = $now
  RETURN count(*) AS linked
}
RETURN p {.*} AS plan, linked

// name: plans_of_runs(runs) many read
// The plans that have started these runs.
UNWIND $runs AS id
MATCH (r:Run {id: id})<-[:STARTED]-(p:Plan)
RETURN id AS run, p.id AS plan
