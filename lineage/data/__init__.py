"""Data by DuckDB: datasets as they lie, features in SQL over them, training sets written from those."""
