"""The tests, on real PostgreSQL servers."""
