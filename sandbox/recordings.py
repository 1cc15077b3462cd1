"""Recordings of calls, by the only evidence: the address from which clients save `.mp3` files.

Not known, and so made up: the answer for a call without a recording, and what a download costs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.leads import Record

#: Where the recording of a call is, below the base of the API.
PATH = re.compile("/(?P<site>[^/]+)/calls-diary/calls/(?P<call>[^/]+)/download/?")
# A frame of silence: MPEG-1 Layer III, 32 kbit/s, 44.1 kHz, mono; it lasts 26 ms.
_FRAME = b"\xff\xfb\x10\xc0" + bytes(100)


def recording(call: Record) -> bytes | None:
    """Return an MP3 file of at most a second; None for a call that nobody answered."""
    # Two calls seldom have the same, so that a mixed-up file shows.
    return _FRAME * (10 + call["callId"] % 29) if call["successful"] else None
