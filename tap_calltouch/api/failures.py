"""What could not be loaded, of all streams, told once at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError

from tap_calltouch.api.errors import BusyError, ForbiddenError, QuotaExhaustedError

if TYPE_CHECKING:
    from tap_calltouch.api.errors import SiteError
    from tap_calltouch.api.query import Site


class Failures:
    """Sites that failed for good while others went on."""

    def __init__(self) -> None:
        self._found: list[tuple[Site, SiteError]] = []
        self._answered: set[int | None] = set()

    def add(self, site: Site, error: SiteError) -> None:
        """Remember a failure.

        Raises:
            FatalAPIError: If the API is too busy for one site after the other.
        """
        last = self._found[-1][1] if self._found else None
        if isinstance(error, BusyError) and isinstance(last, BusyError):
            raise FatalAPIError(str(error)) from None
        self._found.append((site, error))

    def note_answer(self, site: Site) -> None:
        """Remember that a site was answered."""
        self._answered.add(site.id)

    def is_exhausted(self, site: Site) -> bool:
        """Return whether the points of a site's project are used up, so that it is not asked."""
        return any(
            isinstance(error, QuotaExhaustedError) and failed.id == site.id
            for failed, error in self._found
        )

    def raise_if_any(self) -> None:
        """Say what failed.

        Raises:
            FatalAPIError: If something did.
        """
        if not self._found:
            return
        messages = [str(error) for _, error in self._found]
        are_refused = all(isinstance(error, ForbiddenError) for _, error in self._found)
        if are_refused and not self._answered:
            messages.append("Everything was refused: check `api_token` first.")
        if self._answered:
            messages.append("Everything else was loaded.")
        raise FatalAPIError(" ".join(messages))
