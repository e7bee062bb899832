// kind: schema
CREATE INDEX plan_ended IF NOT EXISTS FOR (p:Plan) ON (p.ended_at);
CREATE INDEX promotion_changed IF NOT EXISTS FOR (p:PromotionRequest) ON (p.changed_at);
CREATE INDEX endpoint_changed IF NOT EXISTS FOR (e:Endpoint) ON (e.changed_at);
