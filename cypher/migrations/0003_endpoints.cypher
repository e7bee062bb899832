// kind: schema
CREATE CONSTRAINT endpoint_id IF NOT EXISTS FOR (e:Endpoint) REQUIRE e.id IS UNIQUE;
CREATE INDEX endpoint_name IF NOT EXISTS FOR (e:Endpoint) ON (e.namespace, e.name);
