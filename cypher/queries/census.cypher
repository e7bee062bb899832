// name: count_artifacts_by_kind() many read
// How many artifacts there are of each kind.
MATCH (a:Artifact)
RETURN a.kind AS name, count(a) AS total
ORDER BY name

// name: count_runs_by_state() many read
// How many runs are in each state.
MATCH (r:Run)
RETURN r.state AS name, count(r) AS total
ORDER BY name
