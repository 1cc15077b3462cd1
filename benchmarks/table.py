"""What the benchmark prints and writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Line(NamedTuple):
    """One line of the table.

    Attributes:
        what: What was done.
        measured: What it took, in words.
        ratio: The figure that the goal is about, if there is one.
        goal: What it should be: `>= 10`, `<= 1.15`, or nothing.
    """

    what: str
    measured: str
    ratio: float | None = None
    goal: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None if there is none."""
        if not self.goal or self.ratio is None:
            return None
        relation, _, bound = self.goal.partition(" ")
        return self.ratio >= float(bound) if relation == ">=" else self.ratio <= float(bound)

    def cells(self) -> list[str]:
        """Return the cells of the line."""
        ratio = "" if self.ratio is None else f"{self.ratio:.3g}"
        return [
            self.what,
            self.measured,
            ratio,
            self.goal,
            {None: "", True: "yes", False: "no"}[self.met],
        ]


HEAD = ["what", "measured", "ratio", "goal", "met"]


def show(lines: Sequence[Line]) -> None:
    """Print a table.

    Args:
        lines: Its lines.
    """
    rows = [HEAD, *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    rows.insert(1, ["-" * width for width in widths])
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip(), flush=True)
