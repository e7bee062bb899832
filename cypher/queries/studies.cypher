// name: create_study(name, directions, now) one write
// Make a study under the next number; no row when the name is taken. Numbers of deleted studies are not used again.
MERGE (q:Sequence {name: 'study'}) ON CREATE SET q.value = 0
SET q._lock = true
WITH q WHERE NOT EXISTS { (:Study {name: $name}) }
SET q.value = q.value + 1
CREATE (s:Study {
  study_id: q.value, name: $name, directions: $directions, created_at: $now, revision: 0, trial_count: 0,
  user_keys: [], user_values: [], system_keys: [], system_values: []
})
RETURN s {.*} AS study

// name: ensure_study(run_id, config, now) one write
// The study of a run, made when there is none yet; no row when there is no such run.
MATCH (r:Run {id: $run_id})
MERGE (q:Sequence {name: 'study'}) ON CREATE SET q.value = 0
SET q._lock = true
WITH r, q, coalesce($now, r.started_at, r.created_at) AS now
OPTIONAL MATCH (known:Study {run_id: $run_id})
FOREACH (_ IN CASE WHEN known IS NULL THEN [1] ELSE [] END |
  SET q.value = q.value + 1
  CREATE (s:Study {
    study_id: q.value, run_id: $run_id, name: $run_id, created_at: now, revision: 0, trial_count: 0, taken: 0
  })
  SET s += $config
  CREATE (s)-[:OF_RUN {recorded_at: now}]->(r)
)
WITH r
MATCH (s:Study {run_id: $run_id})
RETURN s {.*} AS study

// name: study_by_id(study_id) one read
// One study.
MATCH (s:Study {study_id: $study_id})
RETURN s {.*} AS study

// name: study_by_name(name) one read
// The study of this name.
MATCH (s:Study {name: $name})
RETURN s {.*} AS study

// name: all_studies() many read
// Every study, the first first.
MATCH (s:Study)
RETURN s {.*} AS study
ORDER BY s.study_id

// name: put_study_attributes(study_id, user, system) one write
// Set attributes of a study, each a key and a JSON text; no row when there is no such study.
MATCH (s:Study {study_id: $study_id})
SET s._lock = true
WITH s,
     [i IN range(0, size(s.user_keys) - 1) WHERE NOT s.user_keys[i] IN $user.keys | i] AS user,
     [i IN range(0, size(s.system_keys) - 1) WHERE NOT s.system_keys[i] IN $system.keys | i] AS system
WITH s, [i IN user | s.user_keys[i]] AS user_keys, [i IN user | s.user_values[i]] AS user_values,
     [i IN system | s.system_keys[i]] AS system_keys, [i IN system | s.system_values[i]] AS system_values
SET s.user_keys = user_keys + $user.keys, s.user_values = user_values + $user.values,
    s.system_keys = system_keys + $system.keys, s.system_values = system_values + $system.values
RETURN s.study_id AS study_id

// name: delete_study(study_id) one write
// Delete a study with its trials, unless it is part of the record of a run; no row when there is no such study.
MATCH (s:Study {study_id: $study_id})
SET s._lock = true
WITH s, s.run_id AS run_id
CALL (s, run_id) {
  WITH s WHERE run_id IS NULL
  OPTIONAL MATCH (t:Trial {study_id: $study_id}) USING INDEX t:Trial(study_id, number) WHERE t.number >= 0
  DETACH DELETE t, s
}
RETURN run_id
