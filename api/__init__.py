"""The GraphQL API, the run protocol and the pages: knows what there is, nothing of how runs are run."""
