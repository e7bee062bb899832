"""Audits: where a model comes from and what is missing from the record; as a page, as PROV, sealed and compared."""
