"""Tests of the tap, the sandbox and the documentation, with processes and sockets."""
