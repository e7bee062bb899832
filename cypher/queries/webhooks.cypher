// name: create_webhook(webhook, taken) one write
// Keep a new webhook; when its name is taken, the one that has it is returned as it is.
MERGE (w:Webhook {taken: $taken})
ON CREATE SET w += $webhook
RETURN w {.*} AS webhook

// name: webhook_by_id(id) one read
// One webhook, deleted ones included.
MATCH (w:Webhook {id: $id})
RETURN w {.*} AS webhook

// name: webhook_by_name(taken) one read
// The webhook that has a name.
MATCH (w:Webhook {taken: $taken})
RETURN w {.*} AS webhook

// name: list_webhooks(deleted, first) many read
// Webhooks by name.
MATCH (w:Webhook)
WHERE $deleted OR w.deleted_at IS NULL
RETURN w {.*} AS webhook
ORDER BY w.name, w.id LIMIT $first

// name: change_webhook(id, revision, changes, now) one write
// Change a webhook; no row when somebody else has changed it since it was read, or it is deleted.
MATCH (w:Webhook {id: $id})
SET w._lock = $now
WITH w WHERE w.revision = $revision AND w.deleted_at IS NULL
SET w += $changes, w.revision = w.revision + 1, w.updated_at = $now
RETURN w {.*} AS webhook

// name: ended_runs(late, first) many read
// Of each webhook that is told of runs, those that have ended since and that it has no delivery of.
MATCH (w:Webhook)
WHERE 'RUN_ENDED' IN w.events AND NOT w.is_paused AND w.deleted_at IS NULL
MATCH (r:Run)
WHERE r.ended_at > w.watched_at - $late AND r.ended_at > w.starts_at
  AND r.state IN ['SUCCEEDED', 'FAILED', 'CANCELED', 'TIMED_OUT', 'LOST']
  AND NOT EXISTS { (:Delivery {webhook_id: w.id, subject: 'RUN_ENDED ' + r.id}) }
WITH w, r ORDER BY r.ended_at, r.id
RETURN w.id AS webhook,
       collect({at: r.ended_at, subject: 'RUN_ENDED ' + r.id, data: r {.id, .kind, .state, .reason, .message, .executor,
                .attempt, .created_at, .created_by, .started_at, .ended_at}})[..$first] AS events

// name: recorded_artifacts(late, first) many read
// Of each webhook that is told of artifacts, those recorded since and that it has no delivery of.
MATCH (w:Webhook)
WHERE 'ARTIFACT_RECORDED' IN w.events AND NOT w.is_paused AND w.deleted_at IS NULL
MATCH (a:Artifact)
WHERE a.created_at > w.watched_at - $late AND a.created_at > w.starts_at
  AND (w.kinds IS NULL OR a.kind IN w.kinds)
  AND NOT EXISTS { (:Delivery {webhook_id: w.id, subject: 'ARTIFACT_RECORDED ' + a.id}) }
WITH w, a ORDER BY a.created_at, a.id
RETURN w.id AS webhook,
       collect({at: a.created_at, subject: 'ARTIFACT_RECORDED ' + a.id, data: a {.id, .kind, .namespace, .name, .version,
                .digest, .created_at, .created_by}})[..$first] AS events

// name: new_firings(late, first) many read
// Of each webhook that is told of firings, those since that it has no delivery of.
MATCH (w:Webhook)
WHERE 'FIRED' IN w.events AND NOT w.is_paused AND w.deleted_at IS NULL
MATCH (f:Firing)-[:FIRED_BY]->(s)
WHERE f.fired_at > w.watched_at - $late AND f.fired_at > w.starts_at
  AND NOT EXISTS { (:Delivery {webhook_id: w.id, subject: 'FIRED ' + f.id}) }
WITH w, f, s ORDER BY f.fired_at, f.id
RETURN w.id AS webhook,
       collect({at: f.fired_at, subject: 'FIRED ' + f.id, data: f {.id, .at, .cause, .state, .missed, .artifact,
                .fired_at, source: s.id, name: s.name, action: s.action}})[..$first] AS events

// name: moved_aliases(late, first) many read
// Of each webhook that is told of promotions, the aliases that have moved since and that it has no delivery of.
MATCH (w:Webhook)
WHERE 'PROMOTED' IN w.events AND NOT w.is_paused AND w.deleted_at IS NULL
MATCH (s:Asset)-[r:ALIAS]->(a:Artifact)
WHERE r.since > w.watched_at - $late AND r.since > w.starts_at
WITH w, s, r, a, 'PROMOTED ' + s.id + ' ' + r.name + ' ' + toString(r.since) AS subject
WHERE NOT EXISTS { (:Delivery {webhook_id: w.id, subject: subject}) }
WITH w, s, r, a, subject ORDER BY r.since, subject
RETURN w.id AS webhook,
       collect({at: r.since, subject: subject, data: r {alias: r.name, .since, .by, .reason, asset: s.id, artifact: a.id,
                kind: a.kind, namespace: a.namespace, name: a.name, version: a.version}})[..$first] AS events

// name: ended_plans(late, first) many read
// Of each webhook that is told of plans, those that have ended since; one that was executed again ends again.
MATCH (w:Webhook)
WHERE 'PLAN_ENDED' IN w.events AND NOT w.is_paused AND w.deleted_at IS NULL
MATCH (p:Plan)
WHERE p.ended_at > w.watched_at - $late AND p.ended_at > w.starts_at
WITH w, p, 'PLAN_ENDED ' + p.id + ' ' + toString(p.ended_at) AS subject
WHERE NOT EXISTS { (:Delivery {webhook_id: w.id, subject: subject}) }
WITH w, p, subject ORDER BY p.ended_at, subject
RETURN w.id AS webhook,
       collect({at: p.ended_at, subject: subject, data: p {.id, .reason, .state, .of, .created_at, .created_by,
                .started_at, .ended_at}})[..$first] AS events

// name: changed_promotions(late, first) many read
// Of each webhook that is told of requests for promotion, those that have come since to where a person has to know.
MATCH (w:Webhook)
WHERE 'PROMOTION_CHANGED' IN w.events AND NOT w.is_paused AND w.deleted_at IS NULL
MATCH (p:PromotionRequest)
WHERE p.changed_at > w.watched_at - $late AND p.changed_at > w.starts_at AND p.state <> 'GATING'
WITH w, p, 'PROMOTION_CHANGED ' + p.id + ' ' + p.state AS subject
WHERE NOT EXISTS { (:Delivery {webhook_id: w.id, subject: subject}) }
WITH w, p, subject ORDER BY p.changed_at, subject
RETURN w.id AS webhook,
       collect({at: p.changed_at, subject: subject, data: p {.id, .asset, .alias, .model, .champion, .benchmark, .state,
                .gate, .message, .verdict, .reason, .created_at, .created_by, .decided_at, .decided_by,
                .decided_reason}})[..$first] AS events

// name: changed_deployments(late, first) many read
// Of each webhook that is told of deployments, those whose state is another one since.
MATCH (w:Webhook)
WHERE 'DEPLOYMENT_CHANGED' IN w.events AND NOT w.is_paused AND w.deleted_at IS NULL
MATCH (e:Endpoint)
WHERE e.changed_at > w.watched_at - $late AND e.changed_at > w.starts_at
  AND e.state IN ['HEALTHY', 'DEGRADED', 'REMOVED']
WITH w, e, 'DEPLOYMENT_CHANGED ' + e.id + ' ' + toString(e.changed_at) AS subject
WHERE NOT EXISTS { (:Delivery {webhook_id: w.id, subject: subject}) }
WITH w, e, subject ORDER BY e.changed_at, subject
RETURN w.id AS webhook,
       collect({at: e.changed_at, subject: subject, data: e {.namespace, .name, .state, deployment: e.live, .wanted,
                .executor, .follows, .live_since}})[..$first] AS events

// name: enqueue_deliveries(webhook, deliveries, now) none write
// Keep what a webhook is to be told, each thing once.
MATCH (w:Webhook {id: $webhook})
WHERE NOT w.is_paused AND w.deleted_at IS NULL
UNWIND $deliveries AS delivery
MERGE (d:Delivery {webhook_id: $webhook, subject: delivery.subject})
ON CREATE SET d += delivery, d.recorded_at = $now
MERGE (d)-[r:DELIVERED_TO]->(w) ON CREATE SET r.recorded_at = $now

// name: webhooks_watched(before, now, but) none write
// Note that everything up to now has been looked at, for all webhooks whose note is old.
MATCH (w:Webhook)
WHERE w.watched_at < $before AND w.deleted_at IS NULL AND NOT w.id IN $but
SET w._lock = $now
WITH w WHERE w.watched_at < $before
SET w.watched_at = $now

// name: claim_deliveries(now, until, busy, each) many write
// Hand out deliveries that are due, a few of each webhook, those included whose sender died; counts the attempt.
MATCH (w:Webhook)
WHERE NOT w.is_paused AND w.deleted_at IS NULL AND NOT w.id IN $busy
CALL (w) {
  MATCH (d:Delivery {state: 'WAITING'})-[:DELIVERED_TO]->(w)
  WHERE d.next_at <= $now AND (d.claimed_until IS NULL OR d.claimed_until <= $now)
  RETURN d ORDER BY d.next_at, d.id LIMIT $each
}
SET d._lock = $now
WITH w, d WHERE d.state = 'WAITING' AND (d.claimed_until IS NULL OR d.claimed_until <= $now)
SET d.claimed_until = $until, d.attempts = d.attempts + 1
RETURN d {.*} AS delivery, w {.*} AS webhook

// name: settle_delivery(id, attempts, changes, now) one write
// Note how an attempt ended; no row when another one has begun since.
MATCH (d:Delivery {id: $id})
SET d._lock = $now
WITH d WHERE d.state = 'WAITING' AND d.attempts = $attempts
SET d += $changes, d.claimed_until = NULL
RETURN d {.*} AS delivery

// name: redeliver(id, now) one write
// Let a delivery that has ended be tried again from the beginning.
MATCH (d:Delivery {id: $id})
SET d._lock = $now
WITH d, d.state = 'WAITING' AS waits
SET d.state = 'WAITING', d.next_at = $now,
    d.attempts = CASE WHEN waits THEN d.attempts ELSE 0 END, d.ended_at = NULL
RETURN d {.*} AS delivery

// name: page_deliveries(webhook, states, after_at, after_id, first) many read
// A page of deliveries, the newest first; a filter that is null filters nothing.
MATCH (d:Delivery)
WHERE ($webhook IS NULL OR d.webhook_id = $webhook) AND ($states IS NULL OR d.state IN $states)
  AND ($after_at IS NULL OR d.at < $after_at OR (d.at = $after_at AND d.id > $after_id))
RETURN d {.*} AS delivery
ORDER BY d.at DESC, d.id LIMIT $first

// name: count_deliveries(webhook, states) one read
// How many deliveries a filter lets through.
MATCH (d:Delivery)
WHERE ($webhook IS NULL OR d.webhook_id = $webhook) AND ($states IS NULL OR d.state IN $states)
RETURN count(d) AS total

// name: forget_deliveries(before, first) none write
// Forget what was delivered long ago.
MATCH (d:Delivery {state: 'DELIVERED'})
WHERE d.ended_at < $before
WITH d LIMIT $first
DETACH DELETE d
