"""Finds the name that a user may have meant. Pure."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return a sentence that names the nearest known name, with a blank before it, or nothing.

    Args:
        name: What the user has written.
        known: What there is. Case does not matter.
        prefix: What to write before the known name, which is then in capitals.
    """
    by_lowered = {other.lower(): other for other in known}
    lowered = name.lower()
    longer = [other for other in by_lowered if lowered and other.startswith(lowered)]
    shorter = [other for other in by_lowered if lowered.startswith(other)]
    close = get_close_matches(lowered, by_lowered)
    near = longer if len(longer) == 1 else close or longer or shorter
    if not near:
        return ""
    nearest = f"{prefix}{near[0].upper()}" if prefix else by_lowered[near[0]]
    return f" Did you mean `{nearest}`?"
