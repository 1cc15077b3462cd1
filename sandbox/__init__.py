"""A local Calltouch API: a real HTTP server that behaves as the vendor documents it.

It is written from the vendor's page alone and shares nothing with the tap, so that the tap's tests
compare two independent readings of that page.
"""

from sandbox.faults import Call, Fault
from sandbox.journal import Journal
from sandbox.server import Sandbox

__all__ = ["Call", "Fault", "Journal", "Sandbox"]
