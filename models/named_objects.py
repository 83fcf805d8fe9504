"""Named objects: what a class must offer whose objects the path of a request can name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.orm import Session

from models.caller import Caller


class View(Protocol):
    """An object that is read, as a GET loads it: its roles, and what the answer shows of it.

    A mapped class is one too. A read model, which selects columns without making a mapped object,
    costs less.
    """

    @classmethod
    def load(cls, session: Any, /, *args: Any, **ids: Any) -> Any:
        """Return the object that the path names, or None where there is none.

        The class names its parameters: `load(cls, session, team_id)` for `/teams/{team_id}`. It
        gets all parameters of the path by the names that they have in the definition. Integers of
        any size come in, and none is an error. It locks nothing. It is called with the session of
        the request; that of a read model with the connection of the request.
        """

    @property
    def own_roles(self) -> frozenset[str]:
        """The roles that the object itself has: `not_over` of an `x-permission` names them."""

    def roles_of(self, caller: Caller) -> frozenset[str]:
        """Return the roles that a caller has towards this object, such as `owner`.

        The roles that it has everywhere are not among them. It is called only where those do not
        suffice. It must not raise an error; a caller without a user has a `client`, or nothing.
        """


class NamedObject(View, Protocol):
    """An object that a path can name, for every method: a View whose rows can be locked.

    A request that writes is judged twice: as it arrives by `load`, `own_roles` and `roles_of`; and
    again when its write transaction begins, after `users_to_lock` and `lock_named`, so that nobody
    writes with a right that has just ended.
    """

    @classmethod
    def users_to_lock(cls, session: Session, **ids: Any) -> dict[int, bool]:
        """Return the ids of users whose rows are locked before the object's, without locking them.

        The value tells whether the lock is exclusive, which at most one may be. The caller's own
        row need not be named. It is called as the write transaction begins; `ids` as for `load`.
        """

    @classmethod
    def lock_named(cls, session: Session, **ids: Any) -> None:
        """Lock the rows by which the caller's right is judged, until the transaction ends.

        The users are locked by then; further tables come in the order that `Identified.lock` lists.
        Where there is no such object it locks nothing, and raises no error. `ids` as for `load`.
        """


class NamedDefaults:
    """Defaults for a NamedObject with an `id` and a class method `lock`, as `Identified` has.

    What remains to be written is `load` and `roles_of`.
    """

    @property
    def own_roles(self) -> frozenset[str]:
        """The roles that the object itself has: none."""
        return frozenset()

    @classmethod
    def users_to_lock(cls, session: Session, **ids: Any) -> dict[int, bool]:
        """Return no users."""
        return {}

    @classmethod
    def lock_named(cls, session: Session, **ids: Any) -> None:
        """Lock the row of the object itself."""
        kind: Any = cls
        found = kind.load(session, **ids)
        if found is not None:
            kind.lock(session, found.id)


@dataclass(frozen=True)
class Kind:
    """One kind of named objects: its class, and the read model that a GET loads instead.

    `goes_with` tells for the audit trail what will go with an object that is about to be deleted:
    in short texts by their names, and without secrets.
    """

    mapped: type[NamedObject]
    view: type[View] | None = None
    goes_with: Callable[[Session, Any], Mapping[str, str]] | None = None

    def loaded_by(self, method: str) -> type[View]:
        """Return the class whose object a handler gets for a request by this method."""
        return self.view if method == "GET" and self.view is not None else self.mapped
