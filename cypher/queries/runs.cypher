// name: create_run(run, used, environment, now) one write
// Queue a run with its USED edges, and tie it to the firing whose id is its key; a known key gives the first run back.
MERGE (r:Run {idempotency_key: $run.idempotency_key})
ON CREATE SET r += $run, r.is_new = true
WITH r, coalesce(r.is_new, false) AS created
REMOVE r.is_new
WITH r, created
CALL (r, created) {
  UNWIND CASE WHEN created THEN $used ELSE [] END AS id
  MATCH (a:Artifact {id: id})
  MERGE (r)-[u:USED]->(a) ON CREATE SET u.recorded_at = $now
  RETURN count(*) AS linked
}
CALL (r, created) {
  UNWIND CASE WHEN created AND $environment IS NOT NULL THEN [$environment] ELSE [] END AS id
  MATCH (e:Environment {id: id})
  MERGE (r)-[u:RUNS_IN]->(e) ON CREATE SET u.recorded_at = $now
  RETURN count(*) AS housed
}
CALL (r) {
  MATCH (f:Firing {id: r.idempotency_key})
  MERGE (f)-[s:STARTED]->(r) ON CREATE SET s.recorded_at = $now
  FOREACH (_ IN CASE WHEN f.state = 'STARTING' THEN [1] ELSE [] END | SET f.state = 'STARTED', f.started_at = $now)
  RETURN count(*) AS fired
}
RETURN r {.*} AS run, created, linked

// name: run_by_id(id) one read
// One run.
MATCH (r:Run {id: $id})
RETURN r {.*} AS run

// name: runs_by_id(ids) many read
// The runs of these ids, in no order.
UNWIND $ids AS id
MATCH (r:Run {id: id})
RETURN r {.*} AS run

// name: run_by_token(token_hash) one read
// The run whose present attempt has this token.
MATCH (r:Run {token_hash: $token_hash})
RETURN r {.*} AS run

// name: page_runs(kinds, states, after_at, after_id, first) many read
// A page of runs, the newest first; a filter that is null filters nothing.
MATCH (r:Run)
WHERE ($kinds IS NULL OR r.kind IN $kinds)
  AND ($states IS NULL OR r.state IN $states)
  AND ($after_at IS NULL OR r.created_at < $after_at OR (r.created_at = $after_at AND r.id > $after_id))
RETURN r {.*} AS run
ORDER BY r.created_at DESC, r.id LIMIT $first

// name: count_runs(kinds, states) one read
// How many runs a filter lets through.
MATCH (r:Run)
WHERE ($kinds IS NULL OR r.kind IN $kinds) AND ($states IS NULL OR r.state IN $states)
RETURN count(r) AS total

// name: lease_run(worker, executors, now, until) one write
// Hand the oldest ready run to one worker; no row when nothing waits or another worker was first.
MATCH (r:Run)
WHERE r.state IN ['QUEUED', 'NEEDS_RECOVERY'] AND r.not_before <= $now AND r.executor IN $executors
WITH r ORDER BY r.created_at, r.id LIMIT 1
SET r._lock = $worker
WITH r WHERE r.state IN ['QUEUED', 'NEEDS_RECOVERY']
SET r.recovering = r.state = 'NEEDS_RECOVERY',
    r.state = 'BUILDING', r.owner = $worker, r.generation = r.generation + 1, r.leased_until = $until,
    r.started_at = coalesce(r.started_at, $now), r.updated_at = $now
RETURN r {.*} AS run

// name: renew_lease(id, generation, now, until) one write
// Keep a lease for longer; no row when it is over.
MATCH (r:Run {id: $id})
SET r._lock = $now
WITH r WHERE r.generation = $generation AND r.state IN ['BUILDING', 'SUBMITTED', 'RUNNING']
SET r.leased_until = $until
RETURN r {.*} AS run

// name: advance_run(id, generation, changes, now) one write
// Note how far a run has come; no row when the lease is over.
MATCH (r:Run {id: $id})
SET r._lock = $now
WITH r WHERE r.generation = $generation AND r.state IN ['BUILDING', 'SUBMITTED', 'RUNNING']
SET r += $changes, r.updated_at = $now
RETURN r {.*} AS run

// name: begin_attempt(id, generation, token_hash, now) one write
// Start work anew under a fresh token, so that what an earlier attempt still says is refused.
MATCH (r:Run {id: $id})
SET r._lock = $now
WITH r WHERE r.generation = $generation AND r.state IN ['BUILDING', 'SUBMITTED', 'RUNNING']
SET r.attempt = r.attempt + 1, r.token_hash = $token_hash, r.last_beat_at = NULL, r.attempt_started_at = $now
RETURN r {.*} AS run

// name: house_run(id, generation, place, now) one write
// Note which artifact a run runs in, such as an image; no row when the lease is over.
MATCH (r:Run {id: $id})
SET r._lock = $now
WITH r WHERE r.generation = $generation AND r.state IN ['BUILDING', 'SUBMITTED', 'RUNNING']
MATCH (p:Artifact {id: $place})
MERGE (r)-[u:RUNS_IN]->(p) ON CREATE SET u.recorded_at = $now
RETURN r {.*} AS run

// name: finish_run(id, generation, state, changes, now) one write
// Give a run the state that it ends with, or that it waits in; no row when the lease is over.
MATCH (r:Run {id: $id})
SET r._lock = $now
WITH r WHERE r.generation = $generation AND r.state IN ['BUILDING', 'SUBMITTED', 'RUNNING']
SET r += $changes, r.state = $state, r.owner = NULL, r.leased_until = NULL, r.updated_at = $now
RETURN r {.*} AS run

// name: link_generated(id, artifacts, now) none write
// Note which artifacts a run made.
MATCH (r:Run {id: $id})
UNWIND $artifacts AS artifact
MATCH (a:Artifact {id: artifact})
MERGE (a)-[g:GENERATED_BY]->(r) ON CREATE SET g.recorded_at = $now

// name: link_reproduced(id, verdicts, now) none write
// Note which artifacts a run has made again, and how what it made compares with them.
MATCH (r:Run {id: $id})
UNWIND $verdicts AS each
MATCH (a:Artifact {id: each.id})
MERGE (r)-[e:REPRODUCES]->(a) ON CREATE SET e.recorded_at = $now, e.verdict = each.verdict

// name: runs_that_reproduced(of) many read
// The runs that have made an artifact again, the newest first.
MATCH (r:Run)-[e:REPRODUCES]->(:Artifact {id: $of})
RETURN r {.*} AS run
ORDER BY e.recorded_at DESC, r.id

// name: recover_expired(now) many write
// Let runs go whose worker has been silent for longer than its lease.
MATCH (r:Run)
WHERE r.state IN ['BUILDING', 'SUBMITTED', 'RUNNING'] AND r.leased_until < $now
SET r._lock = $now
WITH r WHERE r.state IN ['BUILDING', 'SUBMITTED', 'RUNNING'] AND r.leased_until < $now
SET r.state = 'NEEDS_RECOVERY', r.former_owner = r.owner, r.owner = NULL, r.leased_until = NULL, r.updated_at = $now
RETURN r {.*} AS run

// name: cancel_run(id, now) one write
// Ask a run to stop: one that waits stops at once, one that runs at its worker's next heartbeat.
MATCH (r:Run {id: $id})
SET r._lock = $now
WITH r, r.state IN ['SUCCEEDED', 'FAILED', 'CANCELED', 'TIMED_OUT', 'LOST'] AS over, r.state = 'QUEUED' AS waits
SET r.cancel_requested_at = CASE WHEN over THEN r.cancel_requested_at ELSE coalesce(r.cancel_requested_at, $now) END,
    r.ended_at = CASE WHEN waits THEN $now ELSE r.ended_at END,
    r.state = CASE WHEN waits THEN 'CANCELED' ELSE r.state END,
    r.updated_at = CASE WHEN over THEN r.updated_at ELSE $now END
RETURN r {.*} AS run

// name: beat_run(id, now, progress, message) one write
// Note a sign of life of the work itself, and say whether it has been asked to stop.
MATCH (r:Run {id: $id})
SET r.last_beat_at = $now, r.updated_at = $now,
    r.progress = coalesce($progress, r.progress), r.message = coalesce($message, r.message)
RETURN r {.*} AS run

// name: used_by_run(ids) many read
// What these runs used, what they made, and what they ran in.
UNWIND $ids AS id
MATCH (r:Run {id: id})
RETURN id, COLLECT { MATCH (r)-[:USED]->(a:Artifact) RETURN a.id ORDER BY a.id } AS used,
       COLLECT { MATCH (r)<-[:GENERATED_BY]-(a:Artifact) RETURN a.id ORDER BY a.id } AS generated,
       COLLECT { MATCH (r)-[:RUNS_IN]->(a:Artifact) RETURN a.id ORDER BY a.id } AS housed

// name: runs_that_made(ids) many read
// The runs that made these artifacts, the first first.
UNWIND $ids AS id
MATCH (a:Artifact {id: id})-[g:GENERATED_BY]->(r:Run)
RETURN id, r {.*} AS run
ORDER BY id, g.recorded_at, r.id
