// name: create_promotion(promotion, model, benchmark, firing) one write
// Keep a request for promotion, once for its id, with what it asks for, what it is held against, and what fired it.
MATCH (a:Model {id: $model})
MERGE (p:PromotionRequest {id: $promotion.id})
ON CREATE SET p += $promotion, p.changed_at = $promotion.created_at
MERGE (p)-[:ASKS_FOR]->(a)
WITH p
OPTIONAL MATCH (b:Benchmark {id: $benchmark})
FOREACH (each IN CASE WHEN b IS NULL THEN [] ELSE [b] END | MERGE (p)-[:HELD_AGAINST]->(each))
WITH p
CALL (p) {
  MATCH (f:Firing {id: $firing})
  MERGE (f)-[s:STARTED]->(p) ON CREATE SET s.recorded_at = p.created_at
  FOREACH (_ IN CASE WHEN f.state = 'STARTING' THEN [1] ELSE [] END |
    SET f.state = 'STARTED', f.started_at = p.created_at)
  RETURN count(*) AS fired
}
RETURN p {.*} AS promotion

// name: promotions_by_id(ids) many read
// The requests of these ids, in no order.
UNWIND $ids AS id
MATCH (p:PromotionRequest {id: id})
RETURN p {.*} AS promotion

// name: list_promotions(asset, states, first) many read
// Requests for promotion, the newest first; what is null filters nothing.
MATCH (p:PromotionRequest)
WHERE ($asset IS NULL OR p.asset = $asset) AND ($states IS NULL OR p.state IN $states)
RETURN p {.*} AS promotion
ORDER BY p.created_at DESC, p.id LIMIT $first

// name: gate_promotion(id, run) one write
// Note the run that scores both sides of a request; no row when it waits for none any more.
MATCH (p:PromotionRequest {id: $id})
SET p._lock = $run
WITH p WHERE p.state = 'GATING'
MATCH (r:Run {id: $run})
MERGE (p)-[:GATED_BY]->(r)
SET p.run = $run
RETURN p {.*} AS promotion

// name: judge_promotion(id, changes, verdict, now) one write
// Note what the gate said of a request; no row when that was noted before.
MATCH (p:PromotionRequest {id: $id})
SET p._lock = $verdict
WITH p WHERE p.state = 'GATING'
SET p += $changes, p.changed_at = $now
WITH p
OPTIONAL MATCH (v:GateVerdict {id: $verdict})
FOREACH (each IN CASE WHEN v IS NULL THEN [] ELSE [v] END | MERGE (p)-[:DECIDED_ON]->(each))
RETURN p {.*} AS promotion

// name: reject_promotion(id, states, changes) one write
// Turn a request down; no row when it was decided before.
MATCH (p:PromotionRequest {id: $id})
SET p._lock = $id
WITH p WHERE p.state IN $states
SET p += $changes, p.state = 'REJECTED', p.changed_at = $changes.decided_at
RETURN p {.*} AS promotion

// name: settle_promotion(id, states, changes, verdict, reason, by, now) one write
// Move the alias that a request asks for, unless it was moved since or the model was retracted; no row when decided.
MATCH (p:PromotionRequest {id: $id})-[:ASKS_FOR]->(a:Artifact)-[:VERSION_OF]->(s:Asset)
SET p._lock = $now, s._lock = $now
WITH p, a, s WHERE p.state IN $states
OPTIONAL MATCH (s)-[old:ALIAS {name: p.alias}]->(former:Artifact) WHERE old.until IS NULL
WITH p, a, s, old, former, coalesce(former.id, '') = coalesce(p.champion, '') AS unmoved
WITH p, a, s, old, former, unmoved AND a.retracted_at IS NULL AS wins,
  CASE WHEN old.since > $now THEN old.since ELSE $now END AS at,
  CASE WHEN a.retracted_at IS NOT NULL THEN 'the model was retracted'
       WHEN NOT unmoved THEN 'the alias was moved meanwhile, to ' + coalesce(former.id, 'nothing') END AS message
FOREACH (_ IN CASE WHEN wins AND old IS NOT NULL AND former.id <> a.id THEN [1] ELSE [] END | SET old.until = at)
FOREACH (_ IN CASE WHEN wins AND (old IS NULL OR former.id <> a.id) THEN [1] ELSE [] END |
  CREATE (s)-[:ALIAS {name: p.alias, since: at, until: NULL, by: $by, reason: $reason, promotion: p.id}]->(a))
SET p += $changes, p.changed_at = $now, p.state = CASE WHEN wins THEN 'PROMOTED' ELSE 'OUTDATED' END,
    p.message = coalesce(message, $changes.message, p.message)
WITH p
OPTIONAL MATCH (v:GateVerdict {id: $verdict})
FOREACH (each IN CASE WHEN v IS NULL THEN [] ELSE [v] END | MERGE (p)-[:DECIDED_ON]->(each))
RETURN p {.*} AS promotion

// name: move_alias(id, name, expected, is_rollback, now, by, reason) one write
// Point an alias at this version, if it still points to what was expected; no row when it does not.
MATCH (a:Artifact {id: $id})-[:VERSION_OF]->(s:Asset)
SET s._lock = $now
WITH a, s
OPTIONAL MATCH (s)-[old:ALIAS {name: $name}]->(former:Artifact) WHERE old.until IS NULL
WITH a, s, old, former, CASE WHEN old.since > $now THEN old.since ELSE $now END AS at
WHERE coalesce(former.id, '') = coalesce($expected, '')
FOREACH (_ IN CASE WHEN old IS NULL THEN [] ELSE [1] END | SET old.until = at)
CREATE (s)-[:ALIAS {name: $name, since: at, until: NULL, by: $by, reason: $reason, is_rollback: $is_rollback}]->(a)
RETURN a.id AS id, former.id AS former

// name: alias_intervals(asset, name) many read
// Every interval of one alias of an asset, the oldest first.
MATCH (:Asset {id: $asset})-[r:ALIAS {name: $name}]->(a:Artifact)
RETURN a.id AS artifact, r.since AS since, r.until AS until, coalesce(r.is_rollback, false) AS is_rollback
ORDER BY r.since, r.until
