// kind: data
MATCH (a:Artifact) WHERE a.retracted_at IS NOT NULL SET a:Retracted;
