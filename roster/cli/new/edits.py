"""Edits of files that are there: text put in at a place that is found, all else stays as it is."""

import re
from collections.abc import Sequence

from roster.cli.new.project import InTheWayError


class Text:
    """The lines of a file, into which others are put."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._lines = text.splitlines(keepends=True)

    def __str__(self) -> str:
        return "".join(self._lines)

    def find(self, pattern: str, start: int = 0) -> int | None:
        """Return the number of the first line that matches from its begin on; None without one."""
        for number in range(start, len(self._lines)):
            if re.match(pattern, self._lines[number]):
                return number
        return None

    def line(self, pattern: str, start: int = 0) -> int:
        """Return the number of the first line that matches.

        :raises InTheWayError: where none does.
        """
        found = self.find(pattern, start)
        if found is None:
            raise InTheWayError(f"{self.name}: there is no line like {pattern}")
        return found

    def last(self, pattern: str) -> int:
        """Return the number of the last line that matches.

        :raises InTheWayError: where none does.
        """
        found = [number for number, line in enumerate(self._lines) if re.match(pattern, line)]
        if not found:
            raise InTheWayError(f"{self.name}: there is no line like {pattern}")
        return found[-1]

    def end(self, number: int) -> int:
        """Return the number of the line behind a line and all that is indented below it."""
        indent = _indent(self._lines[number])
        behind = number + 1
        for following in range(number + 1, len(self._lines)):
            line = self._lines[following]
            if line.strip() and _indent(line) <= indent:
                break
            if line.strip():
                behind = following + 1
        return behind

    def put(self, number: int, text: str) -> None:
        """Put text in front of a line."""
        self._lines[number:number] = text.splitlines(keepends=True)

    def words(self, pattern: str) -> Sequence[str]:
        """Return the groups of the first line that matches.

        :raises InTheWayError: where none does.
        """
        found = re.match(pattern, self._lines[self.line(pattern)])
        return found.groups() if found else ()


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
