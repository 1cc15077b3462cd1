"""Tests that start the tap, the sandbox or other programs as processes."""
