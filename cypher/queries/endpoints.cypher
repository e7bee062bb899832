// name: want_deployment(endpoint, deployment, executor, asked_at, run, following, now) one write
// Say which version an endpoint should serve; no row when something else was asked for later.
MATCH (d:Deployment {id: $deployment})
MERGE (e:Endpoint {id: $endpoint})
ON CREATE SET e.namespace = d.namespace, e.name = d.name, e.state = 'STARTING', e.generation = 0, e.created_at = $now
SET e._lock = $now
WITH e WHERE e.asked_at IS NULL OR e.asked_at <= $asked_at
SET e.wanted = $deployment, e.executor = $executor, e.failure = NULL, e.asked_at = $asked_at, e.updated_at = $now,
    e.asked_run = $run, e.state = CASE WHEN e.state IN ['REMOVED', 'STOPPING'] THEN 'STARTING' ELSE e.state END
SET e += $following
RETURN e {.*} AS endpoint

// name: unwant_deployment(endpoint, now) one write
// Say that an endpoint should serve nothing.
MATCH (e:Endpoint {id: $endpoint})
SET e._lock = $now
WITH e
SET e.wanted = NULL, e.failure = NULL, e.asked_at = $now, e.updated_at = $now, e.follows = NULL,
    e.state = CASE WHEN e.state = 'REMOVED' THEN 'REMOVED' ELSE 'STOPPING' END
RETURN e {.*} AS endpoint

// name: withdraw_deployment(endpoint, deployment, now) one write
// Give a version up that has not become live: what is live is wanted again.
MATCH (e:Endpoint {id: $endpoint})
SET e._lock = $now
WITH e WHERE e.wanted = $deployment AND (e.live IS NULL OR e.live <> $deployment)
SET e.wanted = e.live, e.updated_at = $now, e.state = CASE WHEN e.live IS NULL THEN 'STOPPING' ELSE e.state END,
    e.follows = CASE WHEN e.live IS NULL THEN NULL ELSE e.follows END
RETURN e {.*} AS endpoint

// name: pin_endpoint(endpoint, asked_at, following) one write
// Let an endpoint follow no alias; no row when something was asked of it later.
MATCH (e:Endpoint {id: $endpoint})
SET e._lock = $asked_at
WITH e WHERE e.asked_at IS NULL OR e.asked_at <= $asked_at
SET e += $following
RETURN e.id AS id

// name: endpoints_behind() many read
// Endpoints that follow an alias which has moved since they were looked at last, with the model that it points to.
MATCH (e:Endpoint)
WHERE e.follows IS NOT NULL AND e.state <> 'REMOVED'
MATCH (:Asset {id: e.follows_asset})-[r:ALIAS {name: e.follows_alias}]->(m:Model)
WHERE r.until IS NULL AND r.since <> e.followed
RETURN e {.*} AS endpoint, m.id AS model, r.since AS since, r.by AS by
ORDER BY e.id

// name: note_followed(endpoint, following, message) one write
// Note that an interval of an alias was looked at; no row when the endpoint follows another one by now, or none.
MATCH (e:Endpoint {id: $endpoint})
SET e._lock = $endpoint
WITH e WHERE e.follows = $following.follows
SET e += $following, e.follow_message = $message
RETURN e.id AS id

// name: endpoint_by_id(endpoint) one read
// One endpoint.
MATCH (e:Endpoint {id: $endpoint})
RETURN e {.*} AS endpoint

// name: endpoints_by_id(ids) many read
// The endpoints of these ids, in no order.
UNWIND $ids AS id
MATCH (e:Endpoint {id: id})
RETURN e {.*} AS endpoint

// name: list_endpoints(namespace, first) many read
// Endpoints that serve something or are meant to, by name; a namespace that is null filters nothing.
MATCH (e:Endpoint)
WHERE e.state <> 'REMOVED' AND ($namespace IS NULL OR e.namespace = $namespace)
RETURN e {.*} AS endpoint
ORDER BY e.namespace, e.name LIMIT $first

// name: replicas_kept(ids) many read
// Which of these replicas some endpoint has: those that it starts, asks, or lets end.
MATCH (e:Endpoint)
WHERE e.state <> 'REMOVED'
UNWIND $ids AS id
WITH e, id WHERE e.replicas CONTAINS id
RETURN DISTINCT id

// name: lease_endpoints(controller, executors, now, until) many write
// Hand every endpoint that nobody looks after to one controller.
MATCH (e:Endpoint)
WHERE e.state <> 'REMOVED' AND e.executor IN $executors AND (e.leased_until IS NULL OR e.leased_until < $now)
SET e._lock = $controller
WITH e WHERE e.leased_until IS NULL OR e.leased_until < $now
SET e.owner = $controller, e.generation = e.generation + 1, e.leased_until = $until
RETURN e {.*} AS endpoint

// name: keep_endpoint(endpoint, generation, changes, until, now) one write
// Keep the lease of an endpoint for longer and note how it is, and since when; no row when the lease is over.
MATCH (e:Endpoint {id: $endpoint})
SET e._lock = $now
WITH e WHERE e.generation = $generation AND e.leased_until IS NOT NULL
SET e.changed_at = CASE WHEN $changes.state IS NULL OR $changes.state = e.state THEN e.changed_at ELSE $now END
SET e += $changes, e.leased_until = $until
RETURN e {.*} AS endpoint

// name: switch_endpoint(endpoint, generation, deployment, now) one write
// Make a version the live one, or none, and keep since when and until when each was; no row when the lease is over.
MATCH (e:Endpoint {id: $endpoint})
SET e._lock = $now
WITH e WHERE e.generation = $generation AND e.leased_until IS NOT NULL
CALL (e) {
  MATCH (e)-[former:SERVES]->(:Deployment) WHERE former.until IS NULL
  SET former.until = $now
}
CALL (e) {
  MATCH (d:Deployment {id: $deployment})
  CREATE (e)-[:SERVES {since: $now}]->(d)
}
SET e.live = $deployment, e.live_since = CASE WHEN $deployment IS NULL THEN NULL ELSE $now END, e.updated_at = $now
RETURN e {.*} AS endpoint

// name: close_endpoint(endpoint, generation, now) one write
// Let go of an endpoint for which nothing runs and nothing is wanted; no row when something is again.
MATCH (e:Endpoint {id: $endpoint})
SET e._lock = $now
WITH e WHERE e.generation = $generation AND e.wanted IS NULL
SET e.state = 'REMOVED', e.changed_at = $now, e.replicas = '[]', e.leased_until = NULL, e.owner = NULL, e.updated_at = $now
RETURN e {.*} AS endpoint

// name: endpoint_history(endpoint) many read
// Which versions were live at an endpoint, from when and until when, the first first.
MATCH (:Endpoint {id: $endpoint})-[s:SERVES]->(d:Deployment)
RETURN d.id AS deployment, s.since AS since, s.until AS until
ORDER BY s.since
