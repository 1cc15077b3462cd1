"""A plain tap over the Calltouch API, written the way the SDK's documentation shows.

What it gives for a configuration, a catalog and a state is what the SDK promises for them.
`tests/process/test_differential.py` holds the real tap to it. It is neither fast nor careful: each
site is one call for the whole period, and a record leaves it as `response.json()` read it, with
instants as texts.
"""

from tests.reference.tap import ReferenceStream, ReferenceTap

__all__ = ["ReferenceStream", "ReferenceTap"]
