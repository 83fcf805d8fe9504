"""Errors in the definition, each told in one line that says where it is."""

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
        return ": ".join([*places, " ".join(self.sentence.split())])
