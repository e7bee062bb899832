"""`lineage demo`: the whole life cycle on real data, by the client alone."""
