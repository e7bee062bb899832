// kind: schema
CREATE CONSTRAINT schedule_id IF NOT EXISTS FOR (s:Schedule) REQUIRE s.id IS UNIQUE;
CREATE CONSTRAINT schedule_name IF NOT EXISTS FOR (s:Schedule) REQUIRE s.taken IS UNIQUE;
CREATE CONSTRAINT firing_id IF NOT EXISTS FOR (f:Firing) REQUIRE f.id IS UNIQUE;
CREATE INDEX schedule_next IF NOT EXISTS FOR (s:Schedule) ON (s.next_at);
CREATE INDEX firing_state IF NOT EXISTS FOR (f:Firing) ON (f.state);
CREATE INDEX firing_source IF NOT EXISTS FOR (f:Firing) ON (f.source_id, f.state);
CREATE INDEX firing_at IF NOT EXISTS FOR (f:Firing) ON (f.at, f.id);
CREATE INDEX firing_recorded IF NOT EXISTS FOR (f:Firing) ON (f.fired_at, f.id);
