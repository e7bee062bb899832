// kind: schema
CREATE CONSTRAINT webhook_id IF NOT EXISTS FOR (w:Webhook) REQUIRE w.id IS UNIQUE;
CREATE CONSTRAINT webhook_name IF NOT EXISTS FOR (w:Webhook) REQUIRE w.taken IS UNIQUE;
CREATE CONSTRAINT delivery_id IF NOT EXISTS FOR (d:Delivery) REQUIRE d.id IS UNIQUE;
CREATE CONSTRAINT delivery_subject IF NOT EXISTS FOR (d:Delivery) REQUIRE (d.webhook_id, d.subject) IS UNIQUE;
CREATE INDEX delivery_next IF NOT EXISTS FOR (d:Delivery) ON (d.state, d.next_at);
CREATE INDEX delivery_at IF NOT EXISTS FOR (d:Delivery) ON (d.at, d.id);
CREATE INDEX run_ended IF NOT EXISTS FOR (r:Run) ON (r.ended_at);
CREATE INDEX alias_since IF NOT EXISTS FOR ()-[r:ALIAS]-() ON (r.since);
