"""The request context gives its database session back, whatever happens at its end."""

import pytest
from sqlalchemy import text

from models.database.connections import Connections
from roster.http.context import RequestContext
from tests.serving import Server


def test_the_session_is_given_back_though_something_at_the_end_fails(server: Server) -> None:
    def fail() -> None:
        raise RuntimeError("the store of limits does not answer")

    found = server.app.definition.match("/healthz")
    assert found
    connections = Connections(server.app.engine)
    context = RequestContext(connections, found[0], None, "/healthz", {})
    context.at_end(fail)
    context.session.execute(text("SELECT 1"))
    held = context.connection

    with pytest.raises(RuntimeError):
        context.close()

    assert connections.take() is held
    held.close()
