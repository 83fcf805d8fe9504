"""Commits that wait for a synchronous standby of PostgreSQL."""

import psycopg
from psycopg.errors import Diagnostic


class Confirmation:
    """Whether standbys have confirmed the commits of a connection.

    A COMMIT that is cancelled while it waits for a standby ends with a warning, and not with an
    error: the transaction is committed, but could be lost with this server.
    """

    def __init__(self, connection: "psycopg.Connection[object]") -> None:
        self._is_missing = False
        connection.add_notice_handler(self._notice)

    def check(self) -> None:
        """Look at the notices since the last check.

        :raises psycopg.OperationalError: if a commit was not confirmed.
        """
        is_missing, self._is_missing = self._is_missing, False
        if is_missing:
            raise psycopg.OperationalError("no standby has confirmed the commit")

    def _notice(self, diagnostic: Diagnostic) -> None:
        # The text is translated, the name of the function is not.
        if diagnostic.source_function == "SyncRepWaitForLSN":
            self._is_missing = True
