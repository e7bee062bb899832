// name: fire_by_hand(source, firing, now) one write
// Record a firing that somebody asks for; the same id gives the first one back.
MATCH (s:Schedule {id: $source})
MERGE (f:Firing {id: $firing.id})
ON CREATE SET f += $firing
MERGE (f)-[by:FIRED_BY]->(s) ON CREATE SET by.recorded_at = $now
RETURN f {.*, started: head(COLLECT { MATCH (f)-[:STARTED]->(w) RETURN w {.id, labels: labels(w)} })} AS firing

// name: firings_by_id(ids) many read
// The firings of these ids, in no order.
UNWIND $ids AS id
MATCH (f:Firing {id: id})
RETURN f {.*, started: head(COLLECT { MATCH (f)-[:STARTED]->(w) RETURN w {.id, labels: labels(w)} })} AS firing

// name: firings_that_started(ids) many read
// The firings that started these runs, plans and requests for promotion.
UNWIND $ids AS id
CALL (id) {
  MATCH (w:Run {id: id}) RETURN w
  UNION
  MATCH (w:Plan {id: id}) RETURN w
  UNION
  MATCH (w:PromotionRequest {id: id}) RETURN w
}
MATCH (f:Firing)-[:STARTED]->(w)
RETURN id, f {.*, started: w {.id, labels: labels(w)}} AS firing

// name: page_firings(source, states, after_at, after_id, first) many read
// A page of firings, the newest first; a filter that is null filters nothing.
MATCH (f:Firing)
WHERE ($source IS NULL OR f.source_id = $source)
  AND ($states IS NULL OR f.state IN $states)
  AND ($after_at IS NULL OR f.at < $after_at OR (f.at = $after_at AND f.id > $after_id))
RETURN f {.*, started: head(COLLECT { MATCH (f)-[:STARTED]->(w) RETURN w {.id, labels: labels(w)} })} AS firing
ORDER BY f.at DESC, f.id LIMIT $first

// name: count_firings(source, states) one read
// How many firings a filter lets through.
MATCH (f:Firing)
WHERE ($source IS NULL OR f.source_id = $source) AND ($states IS NULL OR f.state IN $states)
RETURN count(f) AS total

// name: fired_since(since, after_id, first) many read
// Firings recorded after a point, the oldest first: what a subscription tails.
MATCH (f:Firing)
WHERE f.fired_at > $since OR (f.fired_at = $since AND f.id > $after_id)
RETURN f {.*, started: head(COLLECT { MATCH (f)-[:STARTED]->(w) RETURN w {.id, labels: labels(w)} })} AS firing
ORDER BY f.fired_at, f.id LIMIT $first

// name: waiting_firings(now, stale, first) many read
// Of each source what is to be started, the oldest first, and what goes on; those of a paused source wait on.
MATCH (f:Firing)
WHERE f.state IN ['WAITING', 'STARTING'] AND f.not_before <= $now AND (f.state = 'WAITING' OR f.claimed_at <= $stale)
MATCH (f)-[:FIRED_BY]->(s)
WHERE s.deleted_at IS NULL AND (NOT s.is_paused OR f.cause = 'MANUAL' OR f.state = 'STARTING')
WITH s, f ORDER BY f.at, f.id
WITH s, collect(f {.*})[..$first] AS firings
RETURN s {.*} AS source, firings,
       COLLECT { MATCH (o:Firing {source_id: s.id}) WHERE o.state IN ['STARTING', 'STARTED'] RETURN o.id } AS active
ORDER BY firings[0].at, s.id

// name: claim_firing(id, stale, now) one write
// Let one worker start a firing; no row when another has it, or something else of its source goes on.
MATCH (f:Firing {id: $id})-[:FIRED_BY]->(s)
SET s._lock = $now
WITH f, s WHERE s.deleted_at IS NULL AND (f.state = 'WAITING' OR (f.state = 'STARTING' AND f.claimed_at <= $stale))
  AND NOT EXISTS { MATCH (o:Firing {source_id: f.source_id}) WHERE o.state IN ['STARTING', 'STARTED'] AND o.id <> f.id }
SET f.state = 'STARTING', f.claimed_at = $now
RETURN f {.*} AS firing

// name: settle_firing(id, states, state, message, now) one write
// Give a firing the state that it ends with; no row when it is in none of the states that it may leave.
MATCH (f:Firing {id: $id})-[:FIRED_BY]->(s)
SET s._lock = $now
WITH f WHERE f.state IN $states
SET f.state = $state, f.message = $message, f.ended_at = $now
RETURN f {.*} AS firing

// name: drop_waiting(source, message, now) none write
// Pass over what a source still has waiting.
MATCH (f:Firing {source_id: $source, state: 'WAITING'})
SET f.state = 'SKIPPED', f.message = $message, f.ended_at = $now

// name: end_firings(now) many write
// Close the firings whose run or plan is over, or whose request for promotion has been judged by its gate.
MATCH (f:Firing {state: 'STARTED'})-[:STARTED]->(w)
WHERE NOT w.state IN ['QUEUED', 'BUILDING', 'SUBMITTED', 'RUNNING', 'NEEDS_RECOVERY', 'PLANNED', 'GATING']
SET f._lock = $now
WITH f, w WHERE f.state = 'STARTED'
SET f.state = 'DONE', f.ended_at = coalesce(w.ended_at, $now)
RETURN f {.*, started: w {.id, labels: labels(w)}} AS firing

// name: firings_going_on(source) many read
// The firings of a source whose work goes on, with the run that scores both sides of a request for promotion.
MATCH (f:Firing {source_id: $source, state: 'STARTED'})-[:STARTED]->(w)
OPTIONAL MATCH (w)-[:GATED_BY]->(gate:Run)
RETURN f {.*, started: w {.id, labels: labels(w)}} AS firing, gate.id AS gate
