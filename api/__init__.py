"""GraphQL and the run protocol over HTTP; knows nothing of how runs are run."""
