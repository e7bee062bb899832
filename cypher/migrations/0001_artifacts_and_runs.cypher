// kind: schema
CREATE CONSTRAINT migration_name IF NOT EXISTS FOR (m:Migration) REQUIRE m.name IS UNIQUE;
CREATE CONSTRAINT artifact_id IF NOT EXISTS FOR (a:Artifact) REQUIRE a.id IS UNIQUE;
CREATE CONSTRAINT artifact_identity IF NOT EXISTS FOR (a:Artifact) REQUIRE (a.kind, a.namespace, a.name, a.version) IS UNIQUE;
CREATE CONSTRAINT asset_id IF NOT EXISTS FOR (s:Asset) REQUIRE s.id IS UNIQUE;
CREATE CONSTRAINT run_id IF NOT EXISTS FOR (r:Run) REQUIRE r.id IS UNIQUE;
CREATE CONSTRAINT run_idempotency_key IF NOT EXISTS FOR (r:Run) REQUIRE r.idempotency_key IS UNIQUE;
CREATE INDEX artifact_recorded IF NOT EXISTS FOR (a:Artifact) ON (a.created_at, a.id);
CREATE INDEX run_state IF NOT EXISTS FOR (r:Run) ON (r.state);
CREATE INDEX run_token IF NOT EXISTS FOR (r:Run) ON (r.token_hash);
CREATE INDEX run_created IF NOT EXISTS FOR (r:Run) ON (r.created_at, r.id);
CREATE INDEX log_chunk IF NOT EXISTS FOR (l:LogChunk) ON (l.run_id, l.seq);
CREATE FULLTEXT INDEX artifact_text IF NOT EXISTS FOR (a:Artifact) ON EACH [a.search_text]
  OPTIONS {indexConfig: {`fulltext.eventually_consistent`: true, `fulltext.analyzer`: 'standard-no-stop-words'}};
CALL db.awaitIndexes(120);
