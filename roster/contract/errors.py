"""Errors in the definition, each told in one line that says where it is."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path


class DefinitionError(Exception):
    """The definition is wrong, or asks for something that this server does not support.

    `file` is the YAML file, `path` and `method` name the operation, as far as they are known.
    """

    def __init__(
        self,
        sentence: str,
        *,
        file: Path | str | None = None,
        path: str | None = None,
        method: str | None = None,
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.file = file
        self.path = path
        self.method = method

    def __str__(self) -> str:
        """Return one line: the file, the operation, the sentence."""
        operation = " ".join(each for each in ((self.method or "").upper(), self.path) if each)
        places = [str(each) for each in (self.file, operation) if each]
        line = ": ".join([*places, " ".join(self.sentence.split())])
        return "".join(each if each.isprintable() else "?" for each in line)

    @property
    def all(self) -> Sequence["DefinitionError"]:
        """Every mistake that was found: this one alone."""
        return (self,)


class DefinitionErrors(DefinitionError):
    """Several mistakes; the line is that of the first, and says how many more there are."""

    def __init__(self, errors: Sequence[DefinitionError]) -> None:
        first = errors[0]
        super().__init__(first.sentence, file=first.file, path=first.path, method=first.method)
        self._all = tuple({str(each): each for each in errors}.values())

    def __str__(self) -> str:
        """Return one line: the first mistake, and where to read the others."""
        more = len(self._all) - 1
        return super().__str__() + (f" ({more} more: run `roster check`)" if more else "")

    @property
    def all(self) -> Sequence[DefinitionError]:
        """Every mistake that was found, each once."""
        return self._all


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return "; did you mean …?" with the known word that is most like one, or ""."""
    found = difflib.get_close_matches(word, [*known], n=1, cutoff=cutoff)
    return f"; did you mean {found[0]}?" if found else ""
