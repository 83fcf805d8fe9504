"""The people of the tests of the handlers."""

import pytest

from tests.serving import Person, Server


@pytest.fixture
def ada(server: Server) -> Person:
    """Return a plain user."""
    return server.person("ada", first_name="Ada", last_name="Lovelace")


@pytest.fixture
def bob(server: Server) -> Person:
    """Return another plain user."""
    return server.person("bob", first_name="Bob")


@pytest.fixture
def eve(server: Server) -> Person:
    """Return a plain user who belongs to no team."""
    return server.person("eve")


@pytest.fixture
def admin(server: Server) -> Person:
    """Return an admin, beside that of the development data."""
    return server.person("boss", is_admin=True)
