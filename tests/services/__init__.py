"""Tests that need Meltano, a database, a target, dbt, a browser or a package index."""
