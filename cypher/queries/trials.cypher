// name: create_trial(study_id, span, trial) one write
// Add a trial under the next number of its study; no row when there is no such study.
MATCH (s:Study {study_id: $study_id})
SET s._lock = true
WITH s
SET s.revision = s.revision + 1, s.trial_count = s.trial_count + 1
CREATE (t:Trial)-[:OF_STUDY]->(s)
SET t = $trial, t.study_id = s.study_id, t.number = s.trial_count - 1,
    t.trial_id = s.study_id * $span + s.trial_count - 1, t.revision = s.revision
RETURN t {.*} AS trial

// name: trials_since(study_id, revision) one read
// What changed in a study behind *revision*; the new revision is read first, so that nothing can fall between.
MATCH (s:Study {study_id: $study_id})
WITH s.study_id AS study_id, s.revision AS revision
RETURN revision,
       COLLECT { MATCH (t:Trial {study_id: study_id}) WHERE t.revision > $revision RETURN t {.*} } AS trials

// name: trials_of_run(run_id) many read
// Every trial of a run's study, in order.
MATCH (s:Study {run_id: $run_id})
MATCH (t:Trial {study_id: s.study_id}) USING INDEX t:Trial(study_id, number) WHERE t.number >= 0
RETURN t {.*} AS trial
ORDER BY t.number

// name: best_trial(run_id) one read
// The complete trial with the best value, the first of equals.
MATCH (s:Study {run_id: $run_id})
MATCH (t:Trial {study_id: s.study_id, state: 'COMPLETE'})
RETURN t {.*} AS trial
ORDER BY t.values[0] * CASE s.directions[0] WHEN 'MAXIMIZE' THEN -1.0 ELSE 1.0 END, t.number
LIMIT 1

// name: count_trials(run_ids) many read
// How many trials are in each state, for each of these runs.
MATCH (s:Study) WHERE s.run_id IN $run_ids
MATCH (t:Trial {study_id: s.study_id}) USING INDEX t:Trial(study_id, number) WHERE t.number >= 0
RETURN s.run_id AS run_id, t.state AS state, count(*) AS count
ORDER BY run_id, state

// name: write_trial(trial_id, params, user, system, steps) one write
// Set parameters, attributes and steps of a trial that is not finished; says in which state it was.
MATCH (t:Trial {trial_id: $trial_id})-[:OF_STUDY]->(s:Study)
SET s._lock = true
WITH s, t,
     [i IN range(0, size(t.param_keys) - 1) WHERE NOT t.param_keys[i] IN $params.keys | i] AS params,
     [i IN range(0, size(t.user_keys) - 1) WHERE NOT t.user_keys[i] IN $user.keys | i] AS user,
     [i IN range(0, size(t.system_keys) - 1) WHERE NOT t.system_keys[i] IN $system.keys | i] AS system,
     [i IN range(0, size(t.step_keys) - 1) WHERE NOT t.step_keys[i] IN $steps.keys | i] AS steps
WITH s, t, {
  param_keys: [i IN params | t.param_keys[i]] + $params.keys,
  param_values: [i IN params | t.param_values[i]] + $params.values,
  param_types: [i IN params | t.param_types[i]] + $params.types,
  user_keys: [i IN user | t.user_keys[i]] + $user.keys,
  user_values: [i IN user | t.user_values[i]] + $user.values,
  system_keys: [i IN system | t.system_keys[i]] + $system.keys,
  system_values: [i IN system | t.system_values[i]] + $system.values,
  step_keys: [i IN steps | t.step_keys[i]] + $steps.keys,
  step_values: [i IN steps | t.step_values[i]] + $steps.values
} AS changes
FOREACH (_ IN CASE WHEN t.state IN ['WAITING', 'RUNNING'] THEN [1] ELSE [] END |
  SET s.revision = s.revision + 1, t += changes, t.revision = s.revision
)
RETURN t {.*} AS trial

// name: set_trial_state(trial_id, state, values, now) one write
// Move a trial to another state, unless it is finished or runs already; says in which state it was.
MATCH (t:Trial {trial_id: $trial_id})-[:OF_STUDY]->(s:Study)
SET s._lock = true
WITH s, t, t.state AS former
FOREACH (_ IN CASE WHEN former = 'WAITING' OR (former = 'RUNNING' AND $state <> 'RUNNING') THEN [1] ELSE [] END |
  SET s.revision = s.revision + 1, t.revision = s.revision, t.state = $state,
      t.values = coalesce($values, t.values),
      t.started_at = CASE $state WHEN 'RUNNING' THEN $now ELSE t.started_at END,
      t.ended_at = CASE WHEN $state IN ['COMPLETE', 'PRUNED', 'FAIL'] THEN $now END
)
RETURN former, t {.*} AS trial

// name: claim_trial(run_id, slot, attempt, since, span, now) one write
// Give a slot its running trial again, a waiting one, or a new one while budget and failures allow; and what changed.
MATCH (s:Study {run_id: $run_id})
SET s._lock = true
WITH s
MATCH (s)-[:OF_RUN]->(r:Run)
WITH s, r.attempt = $attempt AND NOT r.state IN ['SUCCEEDED', 'FAILED', 'CANCELED', 'TIMED_OUT', 'LOST'] AS fresh,
     COLLECT {
       MATCH (t:Trial {study_id: s.study_id, state: 'RUNNING'}) WHERE t.slot = $slot AND t.attempt = $attempt
       RETURN t ORDER BY t.number LIMIT 1
     } AS mine,
     COLLECT {
       MATCH (t:Trial {study_id: s.study_id, state: 'WAITING'})
       WHERE t.retry_of IS NOT NULL OR s.taken < s.budget
       RETURN t ORDER BY t.retry_of IS NULL, t.number LIMIT 1
     } AS waiting
WITH s, mine, waiting, fresh,
     COUNT { MATCH (t:Trial {study_id: s.study_id, state: 'FAIL'}) } > s.max_failed AS given_up
WITH s, mine, waiting, coalesce(given_up, false) AS given_up, CASE
  WHEN NOT fresh THEN 'STALE' WHEN size(mine) > 0 THEN 'MINE' WHEN given_up THEN 'NONE'
  WHEN size(waiting) > 0 THEN 'WAITING'
  WHEN s.taken < s.budget THEN 'NEW' ELSE 'NONE' END AS claim
FOREACH (_ IN CASE WHEN claim IN ['WAITING', 'NEW'] THEN [1] ELSE [] END | SET s.revision = s.revision + 1)
FOREACH (t IN CASE claim WHEN 'WAITING' THEN waiting ELSE [] END |
  SET t.state = 'RUNNING', t.slot = $slot, t.attempt = $attempt, t.started_at = $now, t.revision = s.revision,
      s.taken = s.taken + CASE WHEN t.retry_of IS NULL THEN 1 ELSE 0 END
)
FOREACH (_ IN CASE claim WHEN 'NEW' THEN [1] ELSE [] END |
  SET s.taken = s.taken + 1, s.trial_count = s.trial_count + 1
  CREATE (t:Trial {
    study_id: s.study_id, number: s.trial_count - 1, trial_id: s.study_id * $span + s.trial_count - 1,
    revision: s.revision, state: 'RUNNING', slot: $slot, attempt: $attempt, started_at: $now,
    param_keys: [], param_values: [], param_types: [], user_keys: [], user_values: [],
    system_keys: [], system_values: [], step_keys: [], step_values: []
  })-[:OF_STUDY]->(s)
)
WITH s, claim, given_up, CASE claim WHEN 'MINE' THEN mine[0].number WHEN 'WAITING' THEN waiting[0].number
                                    WHEN 'NEW' THEN s.trial_count - 1 END AS number
RETURN claim, number, s {.*} AS study,
       COLLECT { MATCH (t:Trial {study_id: s.study_id, number: number}) RETURN t {.*} } AS claimed,
       NOT given_up
         AND EXISTS { MATCH (t:Trial {study_id: s.study_id}) WHERE t.state IN ['RUNNING', 'WAITING'] } AS unfinished,
       COLLECT { MATCH (t:Trial {study_id: s.study_id}) WHERE t.revision > $since RETURN t {.*} } AS trials

// name: draw_trial(run_id, number, attempt, params, constants, system, study_system) one write
// Give a claimed trial the parameters that were drawn for it; one that has some already keeps them.
MATCH (s:Study {run_id: $run_id})
SET s._lock = true
WITH s
MATCH (t:Trial {study_id: s.study_id, number: $number})
WITH s, t, t.state = 'RUNNING' AND t.attempt = $attempt AND t.constants IS NULL AS drawn,
     [i IN range(0, size(s.system_keys) - 1) WHERE NOT s.system_keys[i] IN $study_system.keys | i] AS kept
WITH s, t, drawn, [i IN kept | s.system_keys[i]] AS system_keys, [i IN kept | s.system_values[i]] AS system_values
FOREACH (_ IN CASE WHEN drawn THEN [1] ELSE [] END |
  SET s.revision = s.revision + 1, t.revision = s.revision,
      t.param_keys = $params.keys, t.param_values = $params.values, t.param_types = $params.types,
      t.constants = $constants, t.system_keys = $system.keys, t.system_values = $system.values,
      s.system_keys = system_keys + $study_system.keys, s.system_values = system_values + $study_system.values
)
RETURN drawn, t {.*} AS trial

// name: report_trial(run_id, number, attempt, step, value, since) one write
// Note the value of one step of a running trial; and what changed since, for the pruner.
MATCH (s:Study {run_id: $run_id})
SET s._lock = true
WITH s
MATCH (s)-[:OF_RUN]->(r:Run)
MATCH (t:Trial {study_id: s.study_id, number: $number})
WITH s, t, r.attempt = $attempt AND t.attempt = $attempt AS fresh, t.state AS former,
     [i IN range(0, size(t.step_keys) - 1) WHERE t.step_keys[i] <> $step | i] AS others
WITH s, t, fresh, former,
     [i IN others | t.step_keys[i]] + $step AS step_keys, [i IN others | t.step_values[i]] + $value AS step_values
FOREACH (_ IN CASE WHEN fresh AND former = 'RUNNING' THEN [1] ELSE [] END |
  SET s.revision = s.revision + 1, t.revision = s.revision, t.step_keys = step_keys, t.step_values = step_values
)
RETURN fresh, former, s {.*} AS study,
       COLLECT { MATCH (x:Trial {study_id: s.study_id}) WHERE x.revision > $since RETURN x {.*} } AS trials

// name: tell_trial(run_id, number, attempt, outcome, told, now) one write
// End a running trial, a pruned one with its last value; says in which state it was and what had been told of it.
MATCH (s:Study {run_id: $run_id})
SET s._lock = true
WITH s
MATCH (s)-[:OF_RUN]->(r:Run)
MATCH (t:Trial {study_id: s.study_id, number: $number})
WITH s, t, r.attempt = $attempt AND t.attempt = $attempt AS fresh, t.state AS former, t.told AS told,
     reduce(last = -1, step IN t.step_keys | CASE WHEN step > last THEN step ELSE last END) AS last
WITH s, t, fresh, former, told,
     [i IN range(0, size(t.step_keys) - 1) WHERE t.step_keys[i] = last AND NOT isNaN(t.step_values[i]) | t.step_values[i]]
       AS reported
FOREACH (_ IN CASE WHEN fresh AND former = 'RUNNING' THEN [1] ELSE [] END |
  SET s.revision = s.revision + 1, t.revision = s.revision, t += $outcome, t.told = $told, t.ended_at = $now
)
FOREACH (_ IN CASE WHEN fresh AND former = 'RUNNING' AND t.state = 'PRUNED' AND size(reported) = 1 THEN [1] ELSE [] END |
  SET t.values = coalesce(t.values, reported)
)
RETURN fresh, former, told

// name: abandon_trials(run_id, attempt, slot, before_attempt, reason, limit, span, now) one write
// Give running trials up as lost and queue their parameters again, or fail those that ended their slot too often.
MATCH (s:Study {run_id: $run_id})
SET s._lock = true
WITH s
MATCH (t:Trial {study_id: s.study_id, state: 'RUNNING'})
WHERE ($attempt IS NULL OR t.attempt = $attempt) AND ($slot IS NULL OR t.slot = $slot)
  AND ($before_attempt IS NULL OR t.attempt < $before_attempt)
WITH s, t, coalesce(t.kills, 0) + CASE WHEN $slot IS NULL THEN 0 ELSE 1 END AS kills ORDER BY t.number
WITH s, collect({
  t: t, kills: kills, state: CASE WHEN kills < $limit THEN 'LOST' ELSE 'FAIL' END,
  retry: kills < $limit AND t.constants IS NOT NULL
}) AS lost
FOREACH (each IN lost |
  FOREACH (t IN [each.t] |
    SET s.revision = s.revision + 1, t.revision = s.revision, t.ended_at = $now, t.state = each.state,
        t.kills = each.kills, t.reason = $reason,
        t.error = CASE each.state WHEN 'FAIL' THEN 'these parameters ended their slot ' + each.kills + ' times' END,
        s.taken = s.taken - CASE WHEN each.state = 'LOST' AND NOT each.retry THEN 1 ELSE 0 END
  )
)
FOREACH (each IN [each IN lost WHERE each.retry] |
  FOREACH (t IN [each.t] |
    SET s.revision = s.revision + 1, s.trial_count = s.trial_count + 1
    CREATE (:Trial {
      study_id: s.study_id, number: s.trial_count - 1, trial_id: s.study_id * $span + s.trial_count - 1,
      revision: s.revision, state: 'WAITING', retry_of: t.number, kills: each.kills,
      param_keys: t.param_keys, param_values: t.param_values, param_types: t.param_types, constants: t.constants,
      user_keys: t.user_keys, user_values: t.user_values, system_keys: t.system_keys, system_values: t.system_values,
      step_keys: [], step_values: []
    })-[:OF_STUDY]->(s)
  )
)
RETURN size(lost) AS lost

// name: close_trials(run_id, reason, now) none write
// What still runs or waits when its run is over never ends by itself: it is lost.
MATCH (s:Study {run_id: $run_id})
SET s._lock = true
WITH s
MATCH (t:Trial {study_id: s.study_id}) WHERE t.state IN ['RUNNING', 'WAITING']
SET s.revision = s.revision + 1, t.revision = s.revision, t.state = 'LOST', t.reason = $reason, t.ended_at = $now
