// kind: schema
CREATE CONSTRAINT trigger_id IF NOT EXISTS FOR (t:Trigger) REQUIRE t.id IS UNIQUE;
CREATE CONSTRAINT trigger_name IF NOT EXISTS FOR (t:Trigger) REQUIRE t.taken IS UNIQUE;
CREATE INDEX trigger_event IF NOT EXISTS FOR (t:Trigger) ON (t.event);
CREATE INDEX artifact_retracted IF NOT EXISTS FOR (a:Artifact) ON (a.retracted_at);
