// name: create_trigger(trigger, taken) one write
// Keep a new trigger; when its name is taken, the one that has it is returned as it is.
MERGE (t:Trigger {taken: $taken})
ON CREATE SET t += $trigger
RETURN t {.*} AS trigger

// name: trigger_by_id(id) one read
// One trigger, deleted ones included.
MATCH (t:Trigger {id: $id})
RETURN t {.*} AS trigger

// name: trigger_by_name(taken) one read
// The trigger that has a name.
MATCH (t:Trigger {taken: $taken})
RETURN t {.*} AS trigger

// name: list_triggers(namespace, deleted, first) many read
// Triggers by namespace and name.
MATCH (t:Trigger)
WHERE ($namespace IS NULL OR t.namespace = $namespace) AND ($deleted OR t.deleted_at IS NULL)
RETURN t {.*} AS trigger
ORDER BY t.namespace, t.name, t.id LIMIT $first

// name: change_trigger(id, revision, changes, now) one write
// Change a trigger; no row when somebody else has changed it since it was read, or it is deleted.
MATCH (t:Trigger {id: $id})
SET t._lock = $now
WITH t WHERE t.revision = $revision AND t.deleted_at IS NULL
SET t += $changes, t.revision = t.revision + 1, t.updated_at = $now
RETURN t {.*} AS trigger

// name: new_version_events(late, first) many read
// Of each trigger that waits for versions, those recorded since that it has not fired for, the oldest first.
MATCH (t:Trigger {event: 'NEW_VERSION'})
WHERE NOT t.is_paused AND t.deleted_at IS NULL
MATCH (:Asset {id: t.asset})<-[:VERSION_OF]-(a:Artifact)
WITH t, a, coalesce(a.described_at, a.created_at) AS at
WHERE NOT a.is_placeholder AND at > t.starts_at AND at > t.watched_at - $late
  AND NOT EXISTS { (a)<-[:CAUSED_BY]-(:Firing {source_id: t.id}) }
WITH t, a, at ORDER BY at, a.id
RETURN t {.*} AS trigger, collect({at: at, artifact: a {.*, search_text: null}})[..$first] AS events

// name: metric_events(late, first) many read
// Of each trigger that waits for metrics, the evaluations recorded since that it has not fired for, the oldest first.
MATCH (t:Trigger {event: 'METRIC'})
WHERE NOT t.is_paused AND t.deleted_at IS NULL
MATCH (:Asset {id: t.asset})<-[:VERSION_OF]-(:Artifact)-[e:EVALUATED_BY]->(a:Evaluation)
WITH t, a, CASE WHEN e.recorded_at > coalesce(a.described_at, a.created_at) THEN e.recorded_at
                ELSE coalesce(a.described_at, a.created_at) END AS at
WHERE NOT a.is_placeholder AND at > t.starts_at AND at > t.watched_at - $late
  AND NOT EXISTS { (a)<-[:CAUSED_BY]-(:Firing {source_id: t.id}) }
WITH t, a, max(at) AS at ORDER BY at, a.id
RETURN t {.*} AS trigger, collect({at: at, artifact: a {.*, search_text: null}})[..$first] AS events

// name: metrics_told(asset, first) many read
// Where metrics of a model are named: the newest metric definitions, and its own newest evaluations.
CALL () {
  MATCH (d:MetricDefinition)
  RETURN d AS a ORDER BY d.created_at DESC, d.id LIMIT $first
}
RETURN a {.*, search_text: null} AS artifact
UNION
CALL () {
  MATCH (:Asset {id: $asset})<-[:VERSION_OF]-(:Artifact)-[:EVALUATED_BY]->(e:Evaluation)
  WITH DISTINCT e
  RETURN e AS a ORDER BY e.created_at DESC, e.id LIMIT $first
}
RETURN a {.*, search_text: null} AS artifact

// name: retraction_events(late, first) many read
// Of each trigger that waits for retractions, those since that it has not fired for, the oldest first.
MATCH (t:Trigger {event: 'RETRACTED'})
WHERE NOT t.is_paused AND t.deleted_at IS NULL
MATCH (a:Artifact)
WHERE a.retracted_at > t.watched_at - $late AND a.retracted_at > t.starts_at AND a.kind = t.kind
  AND (t.of IS NULL OR EXISTS { (a)-[:VERSION_OF]->(:Asset {id: t.asset}) })
  AND NOT EXISTS { (a)<-[:CAUSED_BY]-(:Firing {source_id: t.id}) }
WITH t, a, a.retracted_at AS at ORDER BY at, a.id
RETURN t {.*} AS trigger, collect({at: at, artifact: a {.*, search_text: null}})[..$first] AS events

// name: benchmarks_due(now) many read
// Triggers whose benchmark was last run, or whose own firing was, longer ago than they allow, and since when.
MATCH (t:Trigger {event: 'BENCHMARK_DUE'})
WHERE NOT t.is_paused AND t.deleted_at IS NULL
CALL (t) {
  MATCH (:Asset {id: t.asset})<-[:VERSION_OF]-(b:Benchmark)
  WHERE NOT b.is_placeholder AND b.retracted_at IS NULL
  RETURN b ORDER BY coalesce(b.described_at, b.created_at) DESC, b.id LIMIT 1
}
WITH t, b, [t.starts_at] +
  COLLECT { MATCH (b)<-[:USED]-(r:Run {kind: 'BENCHMARK'})
            WHERE NOT r.state IN ['FAILED', 'CANCELED', 'TIMED_OUT', 'LOST']
            RETURN coalesce(r.ended_at, r.created_at) ORDER BY coalesce(r.ended_at, r.created_at) DESC LIMIT 1 } +
  COLLECT { MATCH (t)<-[:FIRED_BY]-(f:Firing) RETURN f.fired_at ORDER BY f.fired_at DESC LIMIT 1 } AS times
UNWIND times AS time
WITH t, b, max(time) + duration({milliseconds: toInteger(t.due_after * 1000)}) AS at
WHERE at <= $now
RETURN t {.*} AS trigger, at, b {.*, search_text: null} AS artifact
ORDER BY at, t.id

// name: lock_trigger(id, firings, now) one write
// Hold a trigger that still counts, and say which of these firings it has, and what of it waits for quiet.
MATCH (t:Trigger {id: $id})
SET t._lock = $now
WITH t WHERE NOT t.is_paused AND t.deleted_at IS NULL
RETURN COLLECT { UNWIND $firings AS id MATCH (f:Firing {id: id}) RETURN f.id } AS known,
       COLLECT { MATCH (f:Firing {source_id: t.id, state: 'WAITING'}) WHERE f.not_before > $now AND f.burst_at IS NOT NULL
                 RETURN f {.id, .burst_at} ORDER BY f.burst_at } AS burst

// name: fire_trigger(id, firings, now) one write
// Record what happened, each event once, tied to the artifact that it happened to.
MATCH (t:Trigger {id: $id})
UNWIND $firings AS firing
MATCH (a:Artifact {id: firing.artifact})
MERGE (f:Firing {id: firing.id})
ON CREATE SET f += firing
MERGE (f)-[by:FIRED_BY]->(t) ON CREATE SET by.recorded_at = $now
MERGE (f)-[cause:CAUSED_BY]->(a) ON CREATE SET cause.recorded_at = $now
RETURN count(f) AS recorded

// name: outdo_firings(ids, by, now) none write
// Pass over events that a later one came behind before it was quiet.
UNWIND $ids AS id
MATCH (f:Firing {id: id, state: 'WAITING'})
SET f.state = 'SKIPPED', f.ended_at = $now, f.message = 'within the debounce of ' + $by

// name: triggers_watched(before, now, but) none write
// Note that everything up to now has been looked at, of all triggers whose note is old.
MATCH (t:Trigger)
WHERE t.watched_at < $before AND t.deleted_at IS NULL AND NOT t.id IN $but
SET t._lock = $now
WITH t WHERE t.watched_at < $before
SET t.watched_at = $now
