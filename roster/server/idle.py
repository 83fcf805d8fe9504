"""Idle connections: they wait for a next request, and one of them makes room for a new client."""

from collections import OrderedDict
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState


class IdleConnections:
    """The idle connections of one server, those first that have been idle longest."""

    def __init__(self) -> None:
        self._connections: OrderedDict[HttpToolsProtocol, None] = OrderedDict()

    def add(self, connection: HttpToolsProtocol) -> None:
        """Remember a connection whose last answer has been written."""
        self._connections[connection] = None

    def discard(self, connection: HttpToolsProtocol) -> None:
        """Forget a connection that has been used, or has ended."""
        self._connections.pop(connection, None)

    def close_one(self) -> None:
        """Close the connection that has been idle longest, if there is any."""
        while self._connections:
            connection, _ = self._connections.popitem(last=False)
            if not connection.transport.get_write_buffer_size():  # its client has the whole answer
                connection.connections.discard(connection)
                connection.timeout_keep_alive_handler()
                return


_of_servers: WeakKeyDictionary[ServerState, IdleConnections] = WeakKeyDictionary()


def of(server: ServerState) -> IdleConnections:
    """Return the idle connections of a server."""
    return _of_servers.setdefault(server, IdleConnections())
