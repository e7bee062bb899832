// name: predictions_of(model) many read
// The predictions and deployments that were made from a model.
MATCH (:Artifact {id: $model})<-[:DERIVED_FROM]-(x:Artifact)
WHERE x.kind IN ['Predictions', 'Deployment']
RETURN x.id AS id
ORDER BY x.created_at, id
