"""Places: which connections are served, where there are more than there may be."""

import select
from collections import OrderedDict
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

# So many idle connections are looked at for one that can be closed.
_MOST_LOOKED_AT = 100


class Places:
    """The connections of one server that have a place: those that have asked for something.

    Where all places are taken, the connection that has been idle longest makes room. A connection
    on which nothing is asked has no place, and drives nobody out.
    """

    def __init__(self) -> None:
        self._taken: set[HttpToolsProtocol] = set()
        # Those that wait for a next request, the one first that has waited longest.
        self._idle: OrderedDict[HttpToolsProtocol, None] = OrderedDict()

    def take(self, connection: HttpToolsProtocol, most: int) -> bool:
        """Give a connection a place, unless it has one; tell whether there was any."""
        if connection not in self._taken:
            if len(self._taken) >= most and not self._close_one():
                return False
            self._taken.add(connection)
        return True

    def leave(self, connection: HttpToolsProtocol) -> None:
        """Take back the place of a connection that has ended."""
        self._taken.discard(connection)
        self._idle.pop(connection, None)

    def begin_idle(self, connection: HttpToolsProtocol) -> None:
        """Let a connection make room whose requests are all answered."""
        if connection in self._taken:
            self._idle[connection] = None

    def end_idle(self, connection: HttpToolsProtocol) -> None:
        """Let a connection make no room any more: something arrives."""
        self._idle.pop(connection, None)

    def _close_one(self) -> bool:
        for _ in range(min(len(self._idle), _MOST_LOOKED_AT)):
            connection, _ = self._idle.popitem(last=False)
            if _is_under_way(connection):
                self._idle[connection] = None
            else:
                self._taken.discard(connection)
                connection.timeout_keep_alive_handler()
                return True
        return False


def _is_under_way(connection: HttpToolsProtocol) -> bool:
    """Tell whether some of the answer has not left yet, or some of a next request has arrived."""
    if connection.transport.get_write_buffer_size():
        return True
    socket = connection.transport.get_extra_info("socket")
    if socket is None or not hasattr(select, "POLLRDHUP"):  # not everywhere
        return False
    poll = select.poll()
    poll.register(socket.fileno(), select.POLLIN | select.POLLRDHUP)
    # The end of the connection can be read, too, and comes with other events.
    return [event for _, event in poll.poll(0)] == [select.POLLIN]


_of_servers: WeakKeyDictionary[ServerState, Places] = WeakKeyDictionary()


def of(server: ServerState) -> Places:
    """Return the places of a server."""
    return _of_servers.setdefault(server, Places())
