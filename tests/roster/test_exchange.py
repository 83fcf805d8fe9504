"""The exchange gives its database session back, whatever happens at its end."""

import pytest
from sqlalchemy import text

from models.database import Connections
from roster.exchange import Exchange
from tests.serving import Server


def test_the_session_is_given_back_though_something_at_the_end_fails(server: Server) -> None:
    def fail() -> None:
        raise RuntimeError("the store of limits does not answer")

    found = server.app.definition.match("/healthz")
    assert found
    connections = Connections(server.app.engine)
    exchange = Exchange(connections, found[0], None, "/healthz", {})
    exchange.at_end(fail)
    exchange.session.execute(text("SELECT 1"))
    held = exchange.connection

    with pytest.raises(RuntimeError):
        exchange.close()

    assert connections.take() is held
    held.close()
