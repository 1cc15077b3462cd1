"""A local Calltouch API: a real HTTP server that behaves as the vendor documents it.

It is written from the vendor's page of the requests journal and from what is known of the calls
journal, and shares nothing with the tap, so that the tap's tests compare two independent readings.
"""

from sandbox.faults import Call, Fault, is_later_page
from sandbox.journal import CallJournal, Journal
from sandbox.server import Sandbox

__all__ = ["Call", "CallJournal", "Fault", "Journal", "Sandbox", "is_later_page"]
