"""The settings of a run as the package has them: typed, with defaults."""

from __future__ import annotations

from typing import Any

from tap_calltouch.config.checks import fill_defaults
from tap_calltouch.config.settings import SETTINGS
from tap_calltouch.config.typed import Settings


def settings_of(**config: Any) -> Settings:
    """Return settings, the default of each that is not given."""
    given = {"api_token": "token", "start_date": "2024-01-01", **config}
    return Settings.of(fill_defaults(given, SETTINGS))
