import pytest

from models import Caller, User
from models.errors import Forbidden


def caller(**flags: bool) -> Caller:
    values = {"is_active": True, "is_regular_user": False, "is_admin": False, "is_internal": False}
    return Caller(User(username="anna", **(values | flags)), 1, 2, frozenset({"users:read"}))


@pytest.mark.parametrize(
    ("flags", "roles"),
    [
        ({}, {"user"}),
        ({"is_regular_user": True}, {"user", "writer"}),
        ({"is_admin": True}, {"user", "writer", "admin"}),
        ({"is_internal": True}, {"user", "writer", "internal"}),
        ({"is_admin": True, "is_internal": True}, {"user", "writer", "admin", "internal"}),
        ({"is_active": False, "is_admin": True, "is_regular_user": True}, set()),
    ],
)
def test_a_users_roles_follow_its_flags(flags: dict[str, bool], roles: set[str]) -> None:
    assert caller(**flags).roles == roles


def test_a_client_without_user_is_a_service() -> None:
    service = Caller(client=1)
    assert service.roles == {"service"}
    assert service.is_service
    assert not service.is_admin


def test_nobody_has_no_role() -> None:
    nobody = Caller.anonymous()
    assert nobody == Caller()
    assert nobody.roles == frozenset()
    assert not any([nobody.is_service, nobody.is_admin, nobody.is_internal])


def test_a_callers_account_is_its_user() -> None:
    anna = caller()
    assert anna.account is anna.user
    for other in (Caller(client=1), Caller.anonymous()):
        with pytest.raises(Forbidden):
            _ = other.account


def test_a_caller_has_a_role_of_several() -> None:
    internal = caller(is_internal=True)
    assert internal.has("admin", "internal")
    assert not internal.has("admin", "service")
    assert internal.is_internal
