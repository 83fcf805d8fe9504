"""The names of a new resource: what follows from its plural and its singular."""

import builtins
import keyword
import re
from dataclasses import dataclass

from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS
from sqlalchemy.dialects.sqlite.base import SQLiteIdentifierPreparer

# The names of constraints are made of two of these; PostgreSQL's have at most 63 characters.
MAX_NAME = 20
_NAME = re.compile(r"[a-z]+(_[a-z]+)*")
_SQL = RESERVED_WORDS | SQLiteIdentifierPreparer.reserved_words
# The parameters that a handler gets by their names, and members that every resource has.
_TAKEN = {
    *("body", "caller", "connection", "definition", "session", "settings", "quotas", "window"),
    *("created", "id", "name", "updated", "cls", "self"),
}
_ENDINGS = (
    ("ies", "y"),
    ("sses", "ss"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
)


class NameRefusedError(Exception):
    """A resource cannot have this name; the text says why."""


@dataclass(frozen=True)
class Names:
    """The names of a resource, such as `time_entries` and `time_entry`."""

    plural: str
    singular: str

    @classmethod
    def of(cls, plural: str, singular: str | None) -> "Names":
        """Check a plural and a singular; without a singular it is made from the plural.

        :raises NameRefusedError: where one is no name for a resource.
        """
        if singular is None:
            _check(plural)
            singular = _singular_of(plural)
        for name in (plural, singular):
            _check(name)
        if plural == singular:
            raise NameRefusedError(f"{plural}: plural and singular must differ")
        if plural in _SQL:
            raise NameRefusedError(f"{plural}: this is a reserved word of SQL")
        return cls(plural, singular)

    @property
    def cls(self) -> str:
        """The name of the class, and of the schema."""
        return _camel(self.singular)

    @property
    def too_many(self) -> str:
        """The name of the example of a full quota."""
        return f"TooMany{_camel(self.plural)}"

    @property
    def most(self) -> str:
        """The name of the constant of the quota."""
        return f"MAX_{self.plural.upper()}"

    @property
    def word(self) -> str:
        """The singular, as a text has it."""
        return self.singular.replace("_", " ")

    @property
    def words(self) -> str:
        """The plural, as a text has it."""
        return self.plural.replace("_", " ")

    @property
    def a_word(self) -> str:
        """The singular with its article."""
        return f"{'an' if self.word[0] in 'aeio' else 'a'} {self.word}"


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _singular_of(plural: str) -> str:
    if plural in {"news", "series", "species"}:
        raise NameRefusedError(f"{plural}: this is singular and plural alike, take another word")
    for ending, single in _ENDINGS:
        if plural.endswith(ending):
            return plural.removesuffix(ending) + single
    if plural.endswith("s") and not plural.endswith("ss"):
        return plural.removesuffix("s")
    raise NameRefusedError(f"{plural}: this is no regular plural; give its --singular")


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        shape = "lower-case letters, with _ between words"
        raise NameRefusedError(f"the name of a resource has {shape}, as in time_entries")
    if len(name) > MAX_NAME:
        raise NameRefusedError(f"{name}: a name has at most {MAX_NAME} characters")
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name):
        raise NameRefusedError(f"{name}: this is a reserved word of Python, or a built-in name")
    if name in _TAKEN:
        raise NameRefusedError(f"{name}: a handler has a parameter or a member of this name")
