"""Places: which connections are served, where there are more than there may be."""

import select
from collections import OrderedDict
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

# So many waiting connections are looked at for one that can be closed.
_MOST_LOOKED_AT = 1000

_Waiting = OrderedDict[HttpToolsProtocol, None]


class Places:
    """The connections of one server that have a place: those that have asked for something.

    Where all places are taken, the connection that has been idle longest makes room. A connection
    on which nothing is asked has no place, and drives nobody out but others of its kind: where no
    more may be open, the one that has waited longest for its first request makes room.
    """

    def __init__(self) -> None:
        self._taken: set[HttpToolsProtocol] = set()
        # Those that wait for a first or a next request, the one first that has waited longest.
        self._silent: _Waiting = OrderedDict()
        self._idle: _Waiting = OrderedDict()

    def arrive(self, connection: HttpToolsProtocol, *, is_full: bool) -> bool:
        """Let a new connection wait for its first request; tell whether it may.

        `is_full` tells that no more connections may be open.
        """
        if is_full:
            silent = _first_that_waits(self._silent)
            if silent is None:
                return False
            silent.transport.abort()
        self._silent[connection] = None
        return True

    def take(self, connection: HttpToolsProtocol, most: int) -> bool:
        """Give a connection a place, unless it has one; tell whether there was any."""
        self._silent.pop(connection, None)
        if connection not in self._taken:
            if len(self._taken) >= most and not self._close_one():
                return False
            self._taken.add(connection)
        return True

    def leave(self, connection: HttpToolsProtocol) -> None:
        """Take back the place of a connection that has ended."""
        self._taken.discard(connection)
        self._silent.pop(connection, None)
        self._idle.pop(connection, None)

    def begin_idle(self, connection: HttpToolsProtocol) -> None:
        """Let a connection make room whose requests are all answered."""
        if connection in self._taken:
            self._idle[connection] = None

    def end_idle(self, connection: HttpToolsProtocol) -> None:
        """Let a connection make no room any more: something arrives."""
        self._idle.pop(connection, None)

    def _close_one(self) -> bool:
        idle = _first_that_waits(self._idle)
        if idle is None:
            return False
        self._taken.discard(idle)
        idle.timeout_keep_alive_handler()
        return True


def _first_that_waits(waiting: _Waiting) -> HttpToolsProtocol | None:
    """Remove the first connection on which nothing is under way, and return it."""
    for _ in range(min(len(waiting), _MOST_LOOKED_AT)):
        connection, _ = waiting.popitem(last=False)
        if not _is_under_way(connection):
            return connection
        waiting[connection] = None
    return None


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
