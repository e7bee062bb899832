// kind: schema
CREATE CONSTRAINT sequence_name IF NOT EXISTS FOR (q:Sequence) REQUIRE q.name IS UNIQUE;
CREATE CONSTRAINT study_id IF NOT EXISTS FOR (s:Study) REQUIRE s.study_id IS UNIQUE;
CREATE CONSTRAINT study_name IF NOT EXISTS FOR (s:Study) REQUIRE s.name IS UNIQUE;
CREATE CONSTRAINT study_run IF NOT EXISTS FOR (s:Study) REQUIRE s.run_id IS UNIQUE;
CREATE CONSTRAINT trial_id IF NOT EXISTS FOR (t:Trial) REQUIRE t.trial_id IS UNIQUE;
CREATE INDEX trial_number IF NOT EXISTS FOR (t:Trial) ON (t.study_id, t.number);
CREATE INDEX trial_state IF NOT EXISTS FOR (t:Trial) ON (t.study_id, t.state);
CREATE INDEX trial_revision IF NOT EXISTS FOR (t:Trial) ON (t.study_id, t.revision);
CALL db.awaitIndexes(120);
