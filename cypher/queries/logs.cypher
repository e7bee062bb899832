// name: append_log(run_id, attempt, text, now, limit) one write
// Keep the next piece of a run's log, up to a limit of characters for a run; a row says whether it was kept.
MATCH (r:Run {id: $run_id})
SET r.log_seq = coalesce(r.log_seq, 0) + 1, r.log_size = coalesce(r.log_size, 0) + size($text)
WITH r, r.log_size <= $limit AS kept
FOREACH (_ IN CASE WHEN kept THEN [1] ELSE [] END |
  CREATE (:LogChunk {run_id: $run_id, attempt: $attempt, seq: r.log_seq, text: $text, at: $now}))
RETURN kept, r.log_seq AS seq

// name: read_log(run_id, after, first) many read
// Pieces of a run's log behind one, in order.
MATCH (l:LogChunk {run_id: $run_id})
WHERE l.seq > $after
RETURN l.seq AS seq, l.attempt AS attempt, l.text AS text, l.at AS at
ORDER BY seq LIMIT $first
