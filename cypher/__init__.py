"""Every Cypher query and migration that the project sends, as files."""
