"""Tests that need no process and no socket."""
