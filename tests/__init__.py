"""Tests, and the local API that they run against."""
