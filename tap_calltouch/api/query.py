"""What a journal of the API is asked: its path and its parameters. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_calltouch.instants import MIDNIGHT

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tap_calltouch.api.windows import DateWindow
    from tap_calltouch.config.typed import Settings


@dataclass(frozen=True)
class Site:
    """One site of a journal, or all that the token may see.

    Attributes:
        id: The site's id; None for all.
        label: Names the stream and the site in messages.
    """

    id: int | None
    label: str


@dataclass(frozen=True)
class Journal:
    """What differs between the journals of the API.

    Attributes:
        path: Behind the API's base URL; `{site}` stands for the site, if it is not a parameter.
        date_format: Format of the API's dates, as for `strftime`.
        parameters: API parameters by setting.
        epoch_unit: What instants count since 1970: `ms` or `s`.
        bind_to: The value of `bindTo` that selects by the record's own date.
        page_size: How many records a page holds; 0 if there are no pages.
        has_numbers: Whether single records can be asked for by number.
    """

    path: str
    date_format: str
    parameters: Mapping[str, str]
    epoch_unit: str
    bind_to: str
    page_size: int = 0
    has_numbers: bool = False

    @property
    def needs_site(self) -> bool:
        """Whether nothing can be asked for without naming a site."""
        return "{site}" in self.path

    def is_possible(self, site_ids: Collection[int], request_numbers: Collection[str]) -> bool:
        """Return whether the settings say enough to ask for this journal."""
        if request_numbers:
            return self.has_numbers
        return bool(site_ids) or not self.needs_site

    def query(self, settings: Settings, site: int | None, window: DateWindow) -> dict[str, str]:
        """Return the parameters that ask for a window, of one site if one is named."""
        params = {
            "dateFrom": f"{window.start:{self.date_format}}",
            "dateTo": f"{window.last_day:{self.date_format}}",
        }
        if site is not None and not self.needs_site:
            params["siteId"] = str(site)
        # Leave out midnight: the API's default for a whole day cannot lose its last second.
        if window.start.time() != MIDNIGHT:
            params["timeFrom"] = f"{window.start:%H:%M:%S}"
        if window.end.time() != MIDNIGHT:
            params["timeTo"] = f"{window.end:%H:%M:%S}"
        by = "session" if settings.is_by_session else self.bind_to
        values = {**settings.values, "bind_to": by}
        for setting, parameter in self.parameters.items():
            value = values.get(setting)
            if value is True:
                params[parameter] = "true"
            elif value not in {None, False}:
                params[parameter] = str(value)
        return params
