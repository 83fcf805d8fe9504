"""Users over HTTP: signing up, reading, changing and deleting accounts."""

from typing import Any
from unittest.mock import Mock

import pytest
from sqlalchemy import event, func, select

from models import Client, User
from models.users import passwords
from tests.serving import (
    API,
    CHALLENGE,
    NO_IDS,
    PASSWORD,
    PROOF,
    SCOPES,
    CheckedClient,
    Person,
    Serve,
    Server,
    basic,
    demand,
    pointers,
    replace,
)

BASE_KEYS = {"id", "username", "first_name", "middle_name", "last_name"}
ALL_KEYS = BASE_KEYS | {
    "email",
    "is_active",
    "is_regular_user",
    "is_admin",
    "created",
    "updated",
}


@pytest.fixture
def hashing(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """What computes the hashes of passwords, with a record of its calls."""
    recorded = Mock(wraps=passwords._context)
    monkeypatch.setattr(passwords, "_context", recorded)
    return recorded


def newcomer(**fields: Any) -> dict[str, Any]:
    """The body of a sign-up that is right, but for what is given; None leaves a key out."""
    body = {
        "username": "grace",
        "email": "grace@example.com",
        "password": PASSWORD,
        "recaptcha_key": "secret_key",
        **fields,
    }
    return {key: value for key, value in body.items() if value is not None}


def log_in(client: CheckedClient, username: str, password: str = PASSWORD) -> Any:
    """Answer of the token endpoint to a user's password."""
    form = {"grant_type": "password", "client_id": "documentation"}
    return client.post(
        "/auth/oauth2/token", data={**form, "username": username, "password": password}
    )


def renew(client: CheckedClient, login: Any) -> Any:
    """Answer of the token endpoint to the refresh token of a login."""
    form = {"grant_type": "refresh_token", "client_id": "documentation"}
    return client.post(
        "/auth/oauth2/token", data={**form, "refresh_token": login.json()["refresh_token"]}
    )


def bearer(client: CheckedClient, login: Any, user_id: int = 0) -> Person:
    """Who has the access token of a login."""
    return Person(client, {"Authorization": f"Bearer {login.json()['access_token']}"}, user_id)


def count_users(server: Server) -> int:
    with server.session() as session:
        return session.scalar(select(func.count()).select_from(User)) or 0


# Reading


def test_me_is_the_user_of_the_token(ada: Person) -> None:
    answer = ada.get("/users/me")

    assert answer.status_code == 200
    me = answer.json()
    assert me.keys() == ALL_KEYS
    assert me["id"] == ada.id
    assert (me["username"], me["email"]) == ("ada", "ada@example.com")
    assert (me["first_name"], me["middle_name"], me["last_name"]) == ("Ada", "", "Lovelace")
    assert (me["is_active"], me["is_regular_user"], me["is_admin"]) == (True, True, False)


def test_moments_are_in_utc(ada: Person) -> None:
    me = ada.get("/users/me").json()

    assert me["created"] == me["updated"]
    assert me["created"].endswith(("Z", "+00:00"))


def test_the_development_users_are_as_promised(server: Server) -> None:
    root = bearer(server.client, log_in(server.client, "root", "q")).get("/users/me").json()

    assert (root["id"], root["email"]) == (1, "root@localhost")
    assert (root["is_regular_user"], root["is_admin"]) == (True, True)
    assert log_in(server.client, "user", "w").status_code == 200
    assert log_in(server.client, "internal", "q").status_code == 200
    assert log_in(server.client, "documentation", "w").status_code == 400


def test_a_user_is_shown_as_it_sees_itself(ada: Person, server: Server) -> None:
    me = ada.get("/users/me").json()

    for who in (ada, server.admin, server.caller(None)):
        assert who.get(f"/users/{ada.id}").json() == me


def test_a_user_that_one_may_not_see_answers_as_an_absent_one(ada: Person) -> None:
    unseen, absent = (ada.get(f"/users/{user_id}").json() for user_id in (1, 4711))

    assert unseen.pop("request_id") != absent.pop("request_id")
    assert unseen == absent
    assert unseen["status"] == 404


@pytest.mark.parametrize("user_id", NO_IDS)
def test_what_is_no_id_is_absent(server: Server, user_id: str) -> None:
    assert server.admin.get(f"/users/{user_id}").status_code == 404


def test_the_list_shows_the_base_keys_in_the_order_of_ids(ada: Person, server: Server) -> None:
    answer = server.admin.get("/users")

    assert answer.status_code == 200
    assert {key for user in answer.json() for key in user} == BASE_KEYS
    assert [user["id"] for user in answer.json()] == [1, 2, 3, 4, ada.id]


@pytest.mark.parametrize("path", ["/users", "/users/me", "/users/signup-form", "/users/1"])
def test_a_trailing_slash_changes_nothing(server: Server, path: str) -> None:
    plain, slashed = (server.admin.get(each) for each in (path, path + "/"))

    assert plain.status_code == slashed.status_code == 200
    assert plain.json() == slashed.json()


def test_a_sign_up_may_have_a_trailing_slash(server: Server) -> None:
    answer = server.nobody.post("/users/", newcomer())

    assert answer.status_code == 201
    assert answer.headers["location"].endswith(f"/users/{answer.json()['id']}")


# Tokens


def test_without_a_token_the_challenge_has_no_error(server: Server) -> None:
    answer = server.nobody.get("/users/me")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == CHALLENGE


@pytest.mark.parametrize("header", ["Bearer unknown", "bearer a b", "Bearer", "Bearer é"])
def test_a_bad_token_is_told_so(client: CheckedClient, header: str) -> None:
    answer = client.get(f"{API}/users/me", headers={b"Authorization": header.encode()})

    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_refresh_token_opens_nothing(server: Server) -> None:
    login = log_in(server.client, "root", "q").json()
    headers = {"Authorization": f"Bearer {login['refresh_token']}"}

    assert server.client.get(f"{API}/users/me", headers=headers).status_code == 401


def test_a_missing_scope_is_named(server: Server) -> None:
    answer = server.caller(1, "teams:read users:write").get("/users/me")

    assert answer.status_code == 403
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith("Bearer ")
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="users:read"' in challenge


@pytest.mark.parametrize("login", ["ada", "ADA", "ada@example.com", "Ada@Example.COM"])
def test_one_logs_in_by_name_or_e_mail_in_any_letter_case(
    ada: Person, client: CheckedClient, login: str
) -> None:
    assert bearer(client, log_in(client, login)).get("/users/me").json()["id"] == ada.id


# Signing up


def test_the_sign_up_form_has_the_development_key(server: Server) -> None:
    answer = server.nobody.get("/users/signup-form")

    assert answer.status_code == 200
    assert answer.json() == {"recaptcha_server_key": "secret_key"}


def test_who_signs_up_is_an_active_writer(server: Server) -> None:
    answer = server.nobody.post("/users", newcomer(first_name="Grace", middle_name="Brewster"))

    assert answer.status_code == 201
    grace = answer.json()
    assert grace.keys() == ALL_KEYS
    assert (grace["first_name"], grace["middle_name"], grace["last_name"]) == (
        "Grace",
        "Brewster",
        "",
    )
    assert (grace["is_active"], grace["is_regular_user"], grace["is_admin"]) == (True, True, False)
    assert bearer(server.client, log_in(server.client, "grace")).get("/users/me").json() == grace


def test_a_sign_up_tells_the_absolute_address(server: Server) -> None:
    headers = {"Host": "localhost:4999"}
    answer = server.nobody.request("POST", "/users", json=newcomer(), headers=headers)

    assert answer.headers["location"] == (
        f"http://127.0.0.1:5000/api/v1/users/{answer.json()['id']}"
    )


def test_who_waits_for_approval_is_inactive_until_an_admin_agrees(serve: Serve) -> None:
    server = serve(signup="approval")
    answer = server.nobody.post("/users", newcomer())
    assert answer.status_code == 201
    assert answer.json()["is_active"] is False
    assert log_in(server.client, "grace").status_code == 400

    proof = demand("/current_password", "q")
    grace = f"/users/{answer.json()['id']}"
    assert server.admin.patch(grace, proof, replace("/is_active", True)).status_code == 200

    assert log_in(server.client, "grace").status_code == 200


def test_nobody_signs_up_where_sign_up_is_closed(serve: Serve) -> None:
    server = serve(signup="closed")
    plain_user, internal_user, service = (server.caller(user_id) for user_id in (3, 4, None))
    weak_admin = server.caller(1, SCOPES.replace("users:write", ""))

    for who in (server.nobody, plain_user, internal_user, service, weak_admin):
        assert who.post("/users", newcomer()).status_code == 403
    assert count_users(server) == 4


@pytest.mark.parametrize("signup", ["open", "approval", "closed"])
def test_an_admin_creates_active_users_without_captcha(serve: Serve, signup: str) -> None:
    server = serve(signup=signup)

    answer = server.admin.post("/users", newcomer(recaptcha_key=None))

    assert answer.status_code == 201
    assert answer.json()["is_active"] is True
    assert answer.headers["location"].endswith(f"/api/v1/users/{answer.json()['id']}")


def test_a_bad_token_is_refused_at_sign_up_too(server: Server) -> None:
    stale = Person(server.client, {"Authorization": "Bearer unknown"})

    answer = stale.post("/users", newcomer())

    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert count_users(server) == 4


def test_only_an_admins_token_with_the_scope_replaces_the_captcha(server: Server) -> None:
    plain_user, internal_user, service = (server.caller(user_id) for user_id in (3, 4, None))
    weak_admin = server.caller(1, SCOPES.replace("users:write", ""))

    for who in (server.nobody, plain_user, internal_user, service, weak_admin):
        assert who.post("/users", newcomer(recaptcha_key=None)).status_code == 403
    assert count_users(server) == 4


def test_any_other_token_at_sign_up_counts_as_none(server: Server) -> None:
    weak_admin = server.caller(1, "users:read")

    for number, who in enumerate((server.caller(3), server.caller(None), weak_admin)):
        body = newcomer(username=f"u{number}", email=f"u{number}@example.com")
        assert who.post("/users", body).status_code == 201


@pytest.mark.parametrize("key", [None, "", "wrong", "SECRET_KEY", "é"])
def test_a_wrong_captcha_is_refused_before_any_name_is_looked_up(
    server: Server, key: str | None
) -> None:
    answer = server.nobody.post("/users", newcomer(username="root", recaptcha_key=key))

    assert answer.status_code == 403
    assert "root" not in answer.text


@pytest.mark.parametrize(
    ("fields", "complaints"),
    [
        ({"username": "root"}, ["/username"]),
        ({"username": "ROOT"}, ["/username"]),
        ({"email": "root@localhost"}, ["/email"]),
        ({"email": "Root@LocalHost"}, ["/email"]),
        ({"username": "Root", "email": "user@example.org"}, ["/username", "/email"]),
    ],
)
def test_a_name_or_address_is_taken_in_every_letter_case(
    server: Server, fields: dict[str, str], complaints: list[str]
) -> None:
    answer = server.nobody.post("/users", newcomer(**fields))

    assert answer.status_code == 409
    assert pointers(answer) == complaints
    assert count_users(server) == 4


@pytest.mark.parametrize(
    "password", ["password", "12345678", "PassWord", "gracehopper", "GraceHopper"]
)
def test_a_common_password_or_the_username_is_refused(server: Server, password: str) -> None:
    answer = server.nobody.post("/users", newcomer(username="GraceHopper", password=password))

    assert answer.status_code == 422
    assert pointers(answer) == ["/password"]
    assert count_users(server) == 4


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("username", ""),
        ("username", "g" * 81),
        ("username", "-grace"),
        ("username", "gra ce"),
        ("username", "grace@home"),
        ("username", "grace\n"),
        ("username", "gräce"),
        ("username", 1),
        ("email", "grace"),
        ("email", "@"),
        ("email", "g@" + "x" * 119),
        ("password", "1234567"),
        ("password", "x" * 129),
        ("first_name", "x" * 31),
        ("middle_name", "x" * 31),
        ("last_name", "x" * 31),
        ("first_name", None),
    ],
)
def test_what_a_schema_refuses_is_bad(server: Server, key: str, value: Any) -> None:
    answer = server.nobody.post("/users", {**newcomer(), key: value})

    assert answer.status_code == 400
    assert set(pointers(answer)) == {f"/{key}"}
    assert count_users(server) == 4


@pytest.mark.parametrize("key", ["username", "email", "password", "first_name", "unknown"])
def test_a_rejected_value_is_never_repeated(server: Server, key: str) -> None:
    answer = server.nobody.post("/users", newcomer(**{key: ["s3cr3t"]}))

    assert answer.status_code == 400
    assert "s3cr3t" not in answer.text


@pytest.mark.parametrize("key", ["username", "email", "password"])
def test_what_a_sign_up_needs_is_missed(server: Server, key: str) -> None:
    answer = server.nobody.post("/users", newcomer(**{key: None}))

    assert answer.status_code == 400
    assert key in answer.text


@pytest.mark.parametrize("key", ["is_admin", "is_active", "is_internal", "id", "created"])
def test_nobody_chooses_more_than_the_form_asks(server: Server, key: str) -> None:
    assert server.admin.post("/users", newcomer(**{key: True})).status_code == 400
    assert count_users(server) == 4


def test_the_longest_values_fit(server: Server) -> None:
    fields = {
        "username": "g" * 80,
        "email": "g" * 60 + "@" + ("x" * 27 + ".") * 2 + "com",
        "password": "p" * 100 + "é" * 28,
        "first_name": "é" * 30,
        "last_name": "\U0001f600" * 30,
    }
    assert len(fields["email"]) == 120

    answer = server.nobody.post("/users", newcomer(**fields))

    assert answer.status_code == 201
    del fields["password"]
    assert fields.items() <= answer.json().items()


# Changing


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/first_name", "Augusta"),
        ("/middle_name", "King"),
        ("/last_name", ""),
        ("/email", "ada@example.org"),
        ("/email", "ADA@example.com"),
    ],
)
def test_a_user_changes_itself(ada: Person, path: str, value: str) -> None:
    before = ada.get("/users/me").json()

    answer = ada.patch(f"/users/{ada.id}", PROOF, replace(path, value))

    assert answer.status_code == 200
    after = answer.json()
    assert after == ada.get("/users/me").json()
    assert after == {**before, path[1:]: value, "updated": after["updated"]}
    assert after["updated"] > before["updated"]


@pytest.mark.parametrize("path", ["/is_active", "/is_regular_user", "/is_admin"])
def test_an_admin_changes_flags(ada: Person, admin: Person, path: str) -> None:
    before = ada.get("/users/me").json()

    answer = admin.patch(f"/users/{ada.id}", PROOF, replace(path, not before[path[1:]]))

    assert answer.status_code == 200
    assert answer.json()[path[1:]] is not before[path[1:]]


def test_an_internal_user_changes_all_flags_but_that_of_admins(ada: Person, server: Server) -> None:
    internal = server.person("insider", is_internal=True)
    url = f"/users/{ada.id}"

    assert internal.patch(url, PROOF, replace("/is_regular_user", False)).status_code == 200
    assert internal.patch(url, PROOF, replace("/is_admin", True)).status_code == 403
    assert internal.patch(url, PROOF, replace("/is_active", False)).status_code == 200

    shown = server.admin.get(url).json()
    assert (shown["is_active"], shown["is_regular_user"], shown["is_admin"]) == (
        False,
        False,
        False,
    )


@pytest.mark.parametrize("path", ["/is_active", "/is_regular_user", "/is_admin"])
@pytest.mark.parametrize("value", [True, False])
def test_a_plain_user_changes_no_flag(ada: Person, path: str, value: bool) -> None:
    before = ada.get("/users/me").json()

    answer = ada.patch(f"/users/{ada.id}", PROOF, replace(path, value))

    assert answer.status_code == 403
    assert ada.get("/users/me").json() == before


@pytest.mark.parametrize("media_type", ["application/json-patch+json", "application/json"])
def test_a_patch_comes_as_either_media_type(ada: Person, media_type: str) -> None:
    answer = ada.request(
        "PATCH",
        f"/users/{ada.id}",
        json=[PROOF, replace("/first_name", "Augusta")],
        headers={"Content-Type": media_type.upper()},
    )

    assert answer.status_code == 200
    assert answer.json()["first_name"] == "Augusta"


def test_operations_see_what_those_before_them_made(ada: Person) -> None:
    answer = ada.patch(
        f"/users/{ada.id}",
        PROOF,
        demand("/first_name", "Ada"),
        replace("/first_name", "Augusta"),
        demand("/first_name", "Augusta"),
        replace("/first_name", "Lady"),
    )

    assert answer.status_code == 200
    assert answer.json()["first_name"] == "Lady"


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        (demand("/last_name", "Byron"), 409),
        (demand("/is_admin", True), 409),
        (demand("/current_password", "wrong"), 403),
        (replace("/email", "ROOT@localhost"), 409),
        (replace("/password", "password"), 422),
        (replace("/password", "ADAlovelace"), 422),
        (replace("/is_admin", True), 403),
        (replace("/first_name", "x" * 31), 400),
    ],
)
def test_a_patch_is_made_whole_or_not_at_all(
    server: Server, operation: dict[str, Any], status: int
) -> None:
    ada = server.person("AdaLovelace")
    before = ada.get("/users/me").json()

    answer = ada.patch(
        f"/users/{ada.id}",
        PROOF,
        replace("/first_name", "Augusta"),
        operation,
        replace("/middle_name", "King"),
    )

    assert answer.status_code == status
    assert pointers(answer) == ([] if status == 403 else ["/2/value"])
    assert ada.get("/users/me").json() == before


@pytest.mark.parametrize(
    "operation",
    [
        replace("/username", "augusta"),
        replace("/is_internal", True),
        replace("/id", 1),
        replace("/created", "2026-01-31T12:00:00Z"),
        replace("/current_password", "x" * 10),
        replace("", {}),
        replace("first_name", "Augusta"),
        replace("/First_name", "Augusta"),
        demand("/password", PASSWORD),
        {"op": "add", "path": "/first_name", "value": "Augusta"},
        {"op": "remove", "path": "/first_name"},
        {"op": "move", "path": "/first_name", "from": "/last_name"},
        {"op": "copy", "path": "/first_name", "from": "/last_name"},
        {"op": "replace", "path": "/first_name"},
        replace("/first_name", None),
        replace("/is_active", 1),
        replace("/is_active", "true"),
        replace("/email", "no address"),
        replace("/email", "a@" + "x" * 119),
        replace("/password", "1234567"),
        replace("/password", "x" * 129),
        demand("/current_password", 1),
        "replace",
        None,
    ],
)
def test_what_is_no_operation_on_a_user_is_bad(ada: Person, admin: Person, operation: Any) -> None:
    before = ada.get("/users/me").json()

    assert admin.patch(f"/users/{ada.id}", PROOF, operation).status_code == 400
    assert ada.get("/users/me").json() == before


def test_a_patch_has_at_most_twenty_operations(ada: Person) -> None:
    url = f"/users/{ada.id}"

    assert ada.patch(url, PROOF, *[demand("/last_name", "Lovelace")] * 19).status_code == 200
    assert ada.patch(url, PROOF, *[demand("/last_name", "Lovelace")] * 20).status_code == 400
    assert ada.patch(url).status_code == 400


@pytest.mark.parametrize(
    "operations",
    [
        [replace("/first_name", "Augusta")],
        [replace("/first_name", "Augusta"), PROOF],
        [demand("/current_password", "wrong horse"), replace("/first_name", "Augusta")],
        [demand("/current_password", ""), replace("/first_name", "Augusta")],
        [demand("/current_password", PASSWORD + " "), replace("/first_name", "Augusta")],
        [demand("/current_password", PASSWORD.upper()), replace("/first_name", "Augusta")],
        [PROOF, demand("/current_password", "wrong horse"), replace("/first_name", "Augusta")],
        [demand("/current_password", "wrong horse"), PROOF, replace("/first_name", "Augusta")],
        [PROOF, replace("/password", "a new horse"), demand("/current_password", "a new horse")],
    ],
)
def test_without_the_callers_password_first_nothing_changes(
    ada: Person, client: CheckedClient, operations: list[Any]
) -> None:
    before = ada.get("/users/me").json()

    answer = ada.patch(f"/users/{ada.id}", *operations)

    assert answer.status_code == 403
    assert "horse" not in answer.text
    assert ada.get("/users/me").json() == before
    assert log_in(client, "ada").status_code == 200


def test_the_password_is_the_callers_own_not_that_of_the_user_changed(
    ada: Person, admin: Person, server: Server
) -> None:
    with server.session() as session:
        session.get_one(User, admin.id).password_hash = passwords.hash_password("a boss's secret")
        session.commit()
    url = f"/users/{ada.id}"
    change = replace("/first_name", "Augusta")

    assert admin.patch(url, PROOF, change).status_code == 403
    right = demand("/current_password", "a boss's secret")
    assert admin.patch(url, right, change).status_code == 200


@pytest.mark.parametrize("last", [PASSWORD, "wrong horse"])
def test_many_tests_of_the_password_cost_one_hash(ada: Person, hashing: Mock, last: str) -> None:
    tests = [*[PROOF] * 18, demand("/current_password", last)]

    answer = ada.patch(f"/users/{ada.id}", *tests, replace("/first_name", "Augusta"))

    assert answer.status_code == (200 if last == PASSWORD else 403)
    assert hashing.verify.call_count == 1
    assert hashing.hash.call_count == 0


def test_many_wrong_passwords_cost_one_hash_at_most(ada: Person, hashing: Mock) -> None:
    wrong = [demand("/current_password", f"wrong {number}") for number in range(20)]

    assert ada.patch(f"/users/{ada.id}", *wrong).status_code == 403
    assert hashing.verify.call_count <= 1
    assert hashing.hash.call_count == 0


def test_many_new_passwords_cost_one_hash(
    ada: Person, client: CheckedClient, hashing: Mock
) -> None:
    new = [replace("/password", f"a new long one {number}") for number in range(19)]

    assert ada.patch(f"/users/{ada.id}", PROOF, *new).status_code == 200
    assert hashing.verify.call_count == 1
    assert hashing.hash.call_count == 1
    assert log_in(client, "ada", "a new long one 18").status_code == 200


def test_a_new_password_takes_the_place_of_the_old(ada: Person, client: CheckedClient) -> None:
    answer = ada.patch(f"/users/{ada.id}", PROOF, replace("/password", "a new long one"))

    assert answer.status_code == 200
    assert "password" not in answer.text
    assert log_in(client, "ada").status_code == 400
    assert log_in(client, "ada", "a new long one").status_code == 200


@pytest.mark.parametrize("path", ["/is_active", "/is_admin"])
def test_the_last_active_admin_stays_one(server: Server, path: str) -> None:
    server.person("asleep", is_admin=True, is_active=False)
    root = server.admin
    proof = demand("/current_password", "q")

    answer = root.patch("/users/1", proof, replace("/first_name", "R"), replace(path, False))

    assert answer.status_code == 409
    me = root.get("/users/me").json()
    assert (me["is_active"], me["is_admin"], me["first_name"]) == (True, True, "")


def test_an_admin_may_step_down_before_another(admin: Person, server: Server) -> None:
    answer = admin.patch(f"/users/{admin.id}", PROOF, replace("/is_admin", False))

    assert answer.status_code == 200
    assert admin.get("/users").status_code == 403
    assert admin.get("/users/me").json()["is_admin"] is False


def test_a_step_down_that_is_taken_back_is_none(server: Server) -> None:
    back_and_forth = [replace("/is_admin", False), replace("/is_admin", True)]

    answer = server.admin.patch("/users/1", demand("/current_password", "q"), *back_and_forth)

    assert answer.status_code == 200
    assert answer.json()["is_admin"] is True


# The end of tokens


def test_a_new_password_ends_all_tokens_but_the_family_that_made_it(
    ada: Person, client: CheckedClient
) -> None:
    used, other = log_in(client, "ada"), log_in(client, "ada")
    changer = bearer(client, used, ada.id)

    answer = changer.patch(f"/users/{ada.id}", PROOF, replace("/password", "a new long one"))

    assert answer.status_code == 200
    assert bearer(client, other).get("/users/me").status_code == 401
    assert ada.get("/users/me").status_code == 401
    assert renew(client, other).status_code == 400
    assert changer.get("/users/me").status_code == 200
    assert renew(client, used).status_code == 200


def test_a_password_changed_by_an_admin_ends_all_tokens_of_the_user(
    ada: Person, admin: Person, client: CheckedClient
) -> None:
    login = log_in(client, "ada")

    answer = admin.patch(f"/users/{ada.id}", PROOF, replace("/password", "a new long one"))

    assert answer.status_code == 200
    assert ada.get("/users/me").status_code == 401
    assert renew(client, login).status_code == 400
    assert admin.get("/users/me").status_code == 200


def test_a_deactivation_ends_all_tokens_for_good(
    ada: Person, admin: Person, client: CheckedClient
) -> None:
    login = log_in(client, "ada")

    assert admin.patch(f"/users/{ada.id}", PROOF, replace("/is_active", False)).status_code == 200
    assert ada.get("/users/me").status_code == 401
    assert renew(client, login).status_code == 400
    assert log_in(client, "ada").status_code == 400

    assert admin.patch(f"/users/{ada.id}", PROOF, replace("/is_active", True)).status_code == 200
    assert ada.get("/users/me").status_code == 401
    assert renew(client, login).status_code == 400
    assert log_in(client, "ada").status_code == 200


def test_an_admin_who_deactivates_itself_is_out(admin: Person) -> None:
    answer = admin.patch(f"/users/{admin.id}", PROOF, replace("/is_active", False))

    assert answer.status_code == 200
    assert admin.get("/users/me").status_code == 401


def test_another_change_ends_no_token(ada: Person, client: CheckedClient) -> None:
    login = log_in(client, "ada")

    assert ada.patch(f"/users/{ada.id}", PROOF, replace("/email", "a@b.example")).is_success
    assert bearer(client, login).get("/users/me").status_code == 200
    assert renew(client, login).status_code == 200


def test_a_deletion_ends_all_tokens(ada: Person, client: CheckedClient) -> None:
    login = log_in(client, "ada")

    assert ada.delete(f"/users/{ada.id}").status_code == 204
    assert ada.get("/users/me").status_code == 401
    assert bearer(client, login).get("/users/me").status_code == 401
    assert renew(client, login).status_code == 400
    assert log_in(client, "ada").status_code == 400


# Deleting


def test_a_deleted_user_is_gone(ada: Person, admin: Person) -> None:
    answer = admin.delete(f"/users/{ada.id}")

    assert answer.status_code == 204
    assert "content-type" not in answer.headers
    assert admin.get(f"/users/{ada.id}").status_code == 404
    assert admin.delete(f"/users/{ada.id}").status_code == 404
    assert ada.id not in [user["id"] for user in admin.get("/users").json()]


def test_ids_and_tokens_of_the_deleted_are_never_another_users(ada: Person, server: Server) -> None:
    assert server.admin.delete(f"/users/{ada.id}").status_code == 204

    again = server.nobody.post("/users", newcomer(username="ada", email="ada@example.com")).json()

    assert again["id"] > ada.id
    assert ada.get("/users/me").status_code == 401


def test_the_last_active_admin_cannot_be_deleted(server: Server) -> None:
    server.person("asleep", is_admin=True, is_active=False)
    root = server.admin

    assert root.delete("/users/1").status_code == 409
    assert root.get("/users/me").status_code == 200


def test_an_admin_may_go_before_another(admin: Person, server: Server) -> None:
    assert admin.delete(f"/users/{admin.id}").status_code == 204
    assert server.admin.get(f"/users/{admin.id}").status_code == 404


def test_a_last_leader_of_others_who_can_hand_over_does_not_go(ada: Person, server: Server) -> None:
    team = server.team("Engines", ada, server.person("bob"))
    alone = server.team("Poetry", ada)
    before = server.admin.get(f"/teams/{team}").json()

    assert ada.delete(f"/users/{ada.id}").status_code == 409

    assert ada.get("/users/me").status_code == 200
    assert server.admin.get(f"/teams/{team}").json() == before
    assert server.admin.get(f"/teams/{alone}").status_code == 200


@pytest.mark.parametrize("flags", [{"is_admin": True}, {"is_internal": True}])
def test_no_team_is_in_the_way_of_an_admin_or_internal_user_who_deletes(
    ada: Person, server: Server, flags: Any
) -> None:
    bob, eve = server.person("bob"), server.person("eve")
    led = server.team("Engines", ada, bob, eve)
    readers = server.team("Poetry", ada, server.person("reader", is_regular_user=False))

    assert server.person("boss", **flags).delete(f"/users/{ada.id}").status_code == 204

    assert leaders(server, led) == {bob.id}
    assert leaders(server, readers) == set()
    assert bob.delete(f"/teams/{led}").status_code == 204
    assert server.admin.delete(f"/teams/{readers}").status_code == 204


@pytest.mark.parametrize("by_admin", [True, False])
def test_many_teams_are_left_some_at_a_time(
    ada: Person, server: Server, monkeypatch: pytest.MonkeyPatch, by_admin: bool
) -> None:
    monkeypatch.setattr("models.accounts._TEAMS_AT_ONCE", 2)
    bob = server.person("bob")
    alone = [server.team("Poetry", ada) for _ in range(3)]
    together = [server.team("Engines", bob, ada) for _ in range(4)]
    commits: list[Any] = []

    def note(connection: Any) -> None:
        commits.append(connection)

    caller = server.admin if by_admin else ada
    event.listen(server.app.engine, "commit", note)
    try:
        deleted = caller.delete(f"/users/{ada.id}")
    finally:
        event.remove(server.app.engine, "commit", note)

    assert deleted.status_code == 204
    assert len(commits) >= 4
    for team in alone:
        assert server.admin.get(f"/teams/{team}").status_code == 404
    for team in together:
        assert leaders(server, team) == {bob.id}


def test_a_refused_deletion_leaves_no_team(
    ada: Person, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.accounts._TEAMS_AT_ONCE", 2)
    teams = [server.team("Poetry", ada) for _ in range(5)]
    server.team("Engines", ada, server.person("bob"))

    assert ada.delete(f"/users/{ada.id}").status_code == 409

    assert {each["id"] for each in ada.get("/teams").json()} > set(teams)


def test_a_last_leader_who_may_not_write_deletes_the_own_account(server: Server) -> None:
    reader, bob = server.person("reader"), server.person("bob")
    team = server.team("Engines", reader, bob)
    with server.session() as session:
        session.get_one(User, reader.id).is_regular_user = False
        session.commit()

    assert reader.delete(f"/users/{reader.id}").status_code == 204

    assert leaders(server, team) == {bob.id}


def leaders(server: Server, team: int) -> set[int]:
    """Return the ids of a team's leaders."""
    members = server.admin.get(f"/teams/{team}").json()["members"]
    return {each["user"]["id"] for each in members if each["is_leader"]}


def test_teams_stay_without_the_deleted_but_go_with_their_only_member(
    ada: Person, server: Server
) -> None:
    bob = server.person("bob")
    alone = server.team("Poetry", ada)
    together = server.team("Engines", bob, ada)

    assert ada.delete(f"/users/{ada.id}").status_code == 204

    assert server.admin.get(f"/teams/{alone}").status_code == 404
    left = bob.get(f"/teams/{together}").json()["members"]
    assert [member["user"]["id"] for member in left] == [bob.id]


def test_the_clients_of_the_deleted_go_with_it(ada: Person, server: Server) -> None:
    with server.session() as session:
        made, secret = Client.create(
            session,
            user_id=ada.id,
            name="Ada's",
            scopes=["users:read"],
            grant_types=["client_credentials"],
            by_operator=True,
        )
        session.commit()
    ask: dict[str, Any] = {
        "data": {"grant_type": "client_credentials"},
        "headers": basic(made.client_id, secret or ""),
    }
    service = bearer(server.client, server.client.post("/auth/oauth2/token", **ask))
    assert service.get("/users").status_code == 200

    assert ada.delete(f"/users/{ada.id}").status_code == 204

    assert service.get("/users").status_code == 401
    assert server.client.post("/auth/oauth2/token", **ask).status_code == 401
