// kind: schema
CREATE CONSTRAINT promotion_id IF NOT EXISTS FOR (p:PromotionRequest) REQUIRE p.id IS UNIQUE;
CREATE INDEX promotion_state IF NOT EXISTS FOR (p:PromotionRequest) ON (p.state);
