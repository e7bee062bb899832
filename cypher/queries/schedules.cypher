// name: create_schedule(schedule, taken) one write
// Keep a new schedule; when its name is taken, the one that has it is returned as it is.
MERGE (s:Schedule {taken: $taken})
ON CREATE SET s += $schedule
RETURN s {.*} AS schedule

// name: schedule_by_id(id) one read
// One schedule, deleted ones included.
MATCH (s:Schedule {id: $id})
RETURN s {.*} AS schedule

// name: schedule_by_name(taken) one read
// The schedule that has a name.
MATCH (s:Schedule {taken: $taken})
RETURN s {.*} AS schedule

// name: schedules_by_id(ids) many read
// The schedules of these ids, in no order.
UNWIND $ids AS id
MATCH (s:Schedule {id: id})
RETURN s {.*} AS schedule

// name: list_schedules(namespace, deleted, first) many read
// Schedules by namespace and name.
MATCH (s:Schedule)
WHERE ($namespace IS NULL OR s.namespace = $namespace) AND ($deleted OR s.deleted_at IS NULL)
RETURN s {.*} AS schedule
ORDER BY s.namespace, s.name, s.id LIMIT $first

// name: change_schedule(id, revision, changes, now) one write
// Change a schedule; no row when somebody else has changed it since it was read, or it is deleted.
MATCH (s:Schedule {id: $id})
SET s._lock = $now
WITH s WHERE s.revision = $revision AND s.deleted_at IS NULL
SET s += $changes, s.revision = s.revision + 1, s.updated_at = $now
RETURN s {.*} AS schedule

// name: due_schedules(now, first) many read
// Schedules with an instant that has come, the earliest first.
MATCH (s:Schedule)
WHERE s.next_at <= $now AND NOT s.is_paused AND s.deleted_at IS NULL
RETURN s {.*} AS schedule
ORDER BY s.next_at, s.id LIMIT $first

// name: fire_schedule(id, revision, next_at, then, firings, missed, now) one write
// Record what was due and go on to the next instant, in one; no row when another worker was first.
MATCH (s:Schedule {id: $id})
SET s._lock = $now
WITH s WHERE s.revision = $revision AND s.next_at = $next_at AND NOT s.is_paused AND s.deleted_at IS NULL
SET s.next_at = $then, s.missed = s.missed + $missed
WITH s
CALL (s) {
  UNWIND $firings AS firing
  MERGE (f:Firing {id: firing.id})
  ON CREATE SET f += firing
  MERGE (f)-[r:FIRED_BY]->(s) ON CREATE SET r.recorded_at = $now
  RETURN count(*) AS recorded
}
RETURN s {.*} AS schedule, recorded
