"""Moscow time, in which the journal counts its days and writes its dates."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from datetime import datetime

MOSCOW = ZoneInfo("Europe/Moscow")


def stamp(at: datetime) -> str:
    """Return dd/mm/yyyy hh:mm:ss; a good deal faster than strftime."""
    return f"{at.day:02}/{at.month:02}/{at.year} {at.hour:02}:{at.minute:02}:{at.second:02}"
