// kind: schema
CREATE CONSTRAINT plan_id IF NOT EXISTS FOR (p:Plan) REQUIRE p.id IS UNIQUE;
CREATE CONSTRAINT plan_idempotency_key IF NOT EXISTS FOR (p:Plan) REQUIRE p.idempotency_key IS UNIQUE;
CREATE INDEX plan_state IF NOT EXISTS FOR (p:Plan) ON (p.state);
