"""Clients: registering, listing, changing and deleting them, and what that ends."""

from datetime import datetime
from typing import Any

import pytest

from models.development import CLIENT_ID, CLIENT_SECRET
from tests.serving import (
    API,
    CHALLENGE,
    SCOPES,
    Person,
    Server,
    basic,
    demand,
    pointers,
    replace,
)
from tests.signing_in import AUTHORIZE, CALLBACK, Browser, led_to, register
from tests.signing_in import Client as App

CLIENTS = "/auth/oauth2_clients"
TOKEN = "/auth/oauth2/token"
KEYS = {
    "client_id",
    "user_id",
    "name",
    "client_type",
    "redirect_uris",
    "default_scopes",
    "grant_types",
    "created",
}
SAFE = [
    "https://app.example/callback",
    "https://app.example",
    "https://app.example:8443/a/b?c=d",
    "https://xn--bcher-kva.example/cb",
    "https://localhost/cb",
    "https://127.0.0.1/cb",
    "http://127.0.0.1/cb",
    "http://127.0.0.1:8080/cb",
    "http://[::1]/cb",
    "http://[::1]:8080/cb",
    "http://localhost/cb",
    "http://localhost:3000/",
    "com.example.app:/callback",
    "com.example.app://callback",
]
UNSAFE = [
    "http://app.example/callback",
    "http://127.0.0.2/cb",
    "http://0.0.0.0/cb",
    "http://localhost.evil.example/cb",
    "http://127.0.0.1.evil.example/cb",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "ftp://app.example/cb",
    "myapp:/callback",
    "urn:ietf:wg:oauth:2.0:oob",
    "https://app.example/cb#fragment",
    "https://app.example/cb#",
    "com.example.app:/cb#fragment",
    "http://127.0.0.1/cb#fragment",
    "https://user@app.example/cb",
    "https://user:password@app.example/cb",
    "http://localhost@evil.example/cb",
    "http://evil.example@localhost/cb",
    "com.example.app://user@callback/cb",
    "https://*.app.example/cb",
    "https://app.example/*",
    "https:///cb",
    "https://",
]


def new(**fields: Any) -> dict[str, Any]:
    """Return the body that registers a client."""
    return {"name": "An app", "redirect_uris": [CALLBACK], **fields}


def create(person: Person, **fields: Any) -> Any:
    """Register a client and return what the answer says of it."""
    answer = person.post(CLIENTS, new(**fields))
    assert answer.status_code == 201, answer.text
    return answer.json()


def at(client: dict[str, Any]) -> str:
    """Return the path of a client."""
    return f"{CLIENTS}/{client['client_id']}"


def scoped(server: Server, person: Person, scope: str) -> Person:
    """Return the same user with a token of less scope."""
    return server.caller(person.id, scope)


def allowed(server: Server, client: App, browser: Browser | None = None) -> str:
    """Have the development data's user allow a client; return the code that it gets."""
    browser = browser or Browser(server)
    browser.open(AUTHORIZE, client.request())
    if "Sign in" in browser.page.text:
        browser.sign_in()
    _, answer = led_to(browser.allow("users:read", "teams:read"))
    return answer["code"]


def tokens(server: Server, client: App) -> dict[str, Any]:
    """Have the development data's user allow a client; return the tokens that it gets."""
    answer = server.client.post(TOKEN, data=client.exchange(allowed(server, client)))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def works(server: Server, issued: dict[str, Any]) -> bool:
    """Tell whether an access token is taken."""
    headers = {"Authorization": f"Bearer {issued['access_token']}"}
    status = server.client.get(f"{API}/users/me", headers=headers).status_code
    assert status in {200, 401}
    return bool(status == 200)


def refresh(server: Server, client: App, issued: dict[str, Any]) -> Any:
    """Ask for the next tokens."""
    form = {"grant_type": "refresh_token", "refresh_token": issued["refresh_token"]}
    form |= {"client_id": client.client_id}
    form |= {"client_secret": client.secret} if client.secret else {}
    return server.client.post(TOKEN, data=form)


def owner_of(server: Server) -> Person:
    """Return the development data's user, who owns what `register` registers."""
    return Person(server.client, server.bearer("user", "w"))


# Creating.


def test_a_client_has_defaults_and_a_secret_that_is_told_once(ada: Person) -> None:
    answer = ada.post(CLIENTS, new())

    assert answer.status_code == 201
    made = answer.json()
    assert made.keys() == KEYS | {"client_secret"}
    assert made["user_id"] == ada.id
    assert made["name"] == "An app"
    assert made["client_type"] == "confidential"
    assert made["redirect_uris"] == [CALLBACK]
    assert sorted(made["default_scopes"]) == sorted(SCOPES.split())
    assert sorted(made["grant_types"]) == ["authorization_code", "refresh_token"]
    assert datetime.fromisoformat(made["created"]).tzinfo
    assert len(made["client_secret"]) >= 32
    assert answer.headers["cache-control"] == "no-store"
    place = answer.headers["location"]
    assert place == f"http://127.0.0.1:5000{API}{at(made)}"
    read = ada.get(at(made)).json()
    assert read == {name: made[name] for name in KEYS}
    assert ada.get(CLIENTS).json() == [read]


def test_a_public_client_has_no_secret(ada: Person) -> None:
    made = create(ada, client_type="public")

    assert made.keys() == KEYS
    assert made["client_type"] == "public"


def test_the_secret_is_stored_by_its_hash(server: Server, ada: Person) -> None:
    made = create(ada)

    with server.app.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM clients").all()

    assert made["client_secret"] not in repr(rows)
    assert made["client_secret"].encode().hex() not in repr(rows)


def test_a_client_gets_the_scopes_of_the_token_at_hand(server: Server, ada: Person) -> None:
    narrow = scoped(server, ada, "auth:write users:read")

    assert sorted(create(narrow)["default_scopes"]) == ["auth:write", "users:read"]


def test_a_client_may_get_fewer_scopes(ada: Person) -> None:
    made = create(ada, default_scopes=["users:read"])

    assert made["default_scopes"] == ["users:read"]


def test_no_client_gets_a_scope_that_the_token_lacks(server: Server, ada: Person) -> None:
    narrow = scoped(server, ada, "auth:write users:read")

    refused = narrow.post(CLIENTS, new(default_scopes=["users:read", "users:write"]))

    assert refused.status_code == 403
    assert pointers(refused) == ["/default_scopes"]
    assert ada.get(CLIENTS).json() == []


def test_an_admins_narrow_token_gives_no_more_either(server: Server, admin: Person) -> None:
    narrow = scoped(server, admin, "auth:write")

    assert narrow.post(CLIENTS, new(default_scopes=["auth:read"])).status_code == 403


@pytest.mark.parametrize("grant", ["password", "client_credentials"])
def test_grants_without_consent_are_given_by_admins_with_all_scopes(
    server: Server, ada: Person, admin: Person, grant: str
) -> None:
    body = new(grant_types=[grant], default_scopes=["users:read"])
    narrow = scoped(server, admin, SCOPES.replace("teams:write", ""))
    internal = server.person("inner", is_internal=True)

    for person in (ada, narrow, internal):
        refused = person.post(CLIENTS, body)
        assert refused.status_code == 403
        assert pointers(refused) == ["/grant_types"]
    assert create(admin, **body)["grant_types"] == [grant]


def test_a_public_client_has_no_client_credentials(admin: Person) -> None:
    body = new(grant_types=["client_credentials"], client_type="public")

    refused = admin.post(CLIENTS, body)

    assert refused.status_code == 422
    assert pointers(refused) == ["/grant_types"]


@pytest.mark.parametrize("client_type", ["confidential", "public"])
@pytest.mark.parametrize("uris", [{}, {"redirect_uris": []}])
def test_the_code_grant_needs_a_redirect_uri(
    ada: Person, uris: dict[str, Any], client_type: str
) -> None:
    refused = ada.post(CLIENTS, {"name": "An app", "client_type": client_type, **uris})

    assert refused.status_code == 422
    assert pointers(refused) == ["/redirect_uris"]
    made = ada.post(CLIENTS, {"name": "An app", "grant_types": ["refresh_token"], **uris})
    assert made.status_code == 201
    assert made.json()["redirect_uris"] == []


@pytest.mark.parametrize("uri", SAFE)
def test_a_safe_redirect_uri_is_taken(ada: Person, uri: str) -> None:
    assert create(ada, redirect_uris=[uri])["redirect_uris"] == [uri]


@pytest.mark.parametrize("uri", UNSAFE)
def test_an_unsafe_redirect_uri_is_refused(ada: Person, uri: str) -> None:
    refused = ada.post(CLIENTS, new(redirect_uris=[CALLBACK, uri]))

    assert refused.status_code == 422, refused.text
    assert pointers(refused) == ["/redirect_uris/1"]
    assert uri not in refused.text
    other = ada.post(CLIENTS, new(redirect_uris=[uri], grant_types=["refresh_token"]))
    assert other.status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {"redirect_uris": [CALLBACK]},
        new(name=""),
        new(name="x" * 81),
        new(name=None),
        new(client_type="secret"),
        new(grant_types=["implicit"]),
        new(default_scopes=["emperor"]),
        new(default_scopes="users:read"),
        new(redirect_uris=CALLBACK),
        new(redirect_uris=["https://app.example/a b"]),
        new(redirect_uris=[""]),
        new(redirect_uris=["http://localhost:*/cb"]),
        new(client_id="mine"),
        new(client_secret="mine"),
        new(user_id=1),
    ],
)
def test_what_the_schema_refuses_is_400(ada: Person, body: dict[str, Any]) -> None:
    assert ada.post(CLIENTS, body).status_code == 400
    assert ada.get(CLIENTS).json() == []


@pytest.mark.parametrize(
    "name",
    [
        " ",
        "\u00a0",
        " An app",
        "An app\n",
        "An\tapp",
        "An\x1b[31m app",
        "An app\x85",
        "An app\u200b",
        "knab \u202ebank",
        "\u2067bank",
        "An\ufeffapp",
    ],
)
def test_a_name_that_people_cannot_read_is_refused(ada: Person, name: str) -> None:
    made = create(ada)

    assert ada.post(CLIENTS, new(name=name)).status_code == 400
    assert ada.patch(at(made), replace("/name", name)).status_code == 400
    assert ada.get(at(made)).json()["name"] == "An app"


@pytest.mark.parametrize("name", ["ä" * 80, "A", "An app", "מחשבון", "家计簿", "👩‍💻 at work"])
def test_a_name_has_up_to_80_characters(ada: Person, name: str) -> None:
    assert create(ada, name=name)["name"] == name


def test_identifiers_and_secrets_differ(ada: Person) -> None:
    one, two = create(ada), create(ada)

    assert one["client_id"] != two["client_id"]
    assert one["client_secret"] != two["client_secret"]


# Listing.


def test_a_list_is_ones_own_in_the_order_of_creation(ada: Person, bob: Person) -> None:
    made = [create(ada, name=f"App {number}")["client_id"] for number in range(3)]
    create(bob)

    assert [each["client_id"] for each in ada.get(CLIENTS).json()] == made
    own = ada.get(CLIENTS, params={"user_id": ada.id})
    assert [each["client_id"] for each in own.json()] == made


def test_a_foreign_list_is_for_admins(server: Server, ada: Person, admin: Person) -> None:
    made = create(ada)["client_id"]
    internal = server.person("inner", is_internal=True)

    for person in (server.person("eve"), internal):
        assert person.get(CLIENTS, params={"user_id": ada.id}).status_code == 403
        assert person.get(CLIENTS, params={"user_id": 4711}).status_code == 403
    found = admin.get(CLIENTS, params={"user_id": ada.id})
    assert [each["client_id"] for each in found.json()] == [made]
    assert "client_secret" not in found.text
    assert admin.get(CLIENTS).json() == []
    assert admin.get(CLIENTS, params={"user_id": 4711}).json() == []


def test_a_list_comes_in_pages(ada: Person, admin: Person) -> None:
    made = [create(ada)["client_id"] for _ in range(3)]

    first = ada.get(CLIENTS, params={"limit": 2})
    assert first.headers["x-total-count"] == "3"
    assert [each["client_id"] for each in first.json()] == made[:2]
    assert ada.get(CLIENTS, params={"offset": 2}).json()[0]["client_id"] == made[2]
    options: dict[str, Any] = {"user_id": ada.id, "limit": 2}
    page = admin.get(CLIENTS, params={**options, "cursor": ""})
    assert "x-total-count" not in page.headers
    more = page.links["next"]["url"].removeprefix(f"http://127.0.0.1:5000{API}")
    last = admin.get(more)
    assert [each["client_id"] for each in page.json() + last.json()] == made
    assert "link" not in last.headers
    assert ada.get(CLIENTS, params={"cursor": "", "offset": 1}).status_code == 400


# Who may do what.


def test_owner_and_admin_may_do_all(ada: Person, admin: Person) -> None:
    for person in (ada, admin):
        made = create(ada)
        assert person.get(at(made)).json()["user_id"] == ada.id
        changed = person.patch(at(made), replace("/name", "Another name"))
        assert changed.status_code == 200
        assert changed.json() == {
            **{name: made[name] for name in KEYS},
            "name": "Another name",
        }
        assert person.request("POST", f"{at(made)}/secret").status_code == 201
        assert person.delete(at(made)).status_code == 204
        assert person.get(at(made)).status_code == 404


def attempts(person: Person, path: str) -> list[Any]:
    """Try all that can be done with a client."""
    return [
        person.get(path),
        person.patch(path, replace("/name", "Mine")),
        person.request("POST", f"{path}/secret"),
        person.delete(path),
    ]


def test_to_others_a_client_is_not_there(server: Server, ada: Person, bob: Person) -> None:
    made = create(ada)
    internal = server.person("inner", is_internal=True)
    missing = f"{CLIENTS}/{'x' * 32}"

    for person in (bob, internal):
        for theirs, nothing in zip(
            attempts(person, at(made)), attempts(person, missing), strict=True
        ):
            assert theirs.status_code == nothing.status_code == 404
            assert theirs.json()["detail"] == nothing.json()["detail"]
        assert person.request("OPTIONS", at(made)).status_code == 404
    assert ada.get(at(made)).json()["name"] == "An app"


def test_a_service_may_do_nothing_with_clients(server: Server, ada: Person) -> None:
    made = create(ada)
    service = server.caller(None)

    for refused in (*attempts(service, at(made)), service.get(CLIENTS)):
        assert refused.status_code == 403
    assert service.post(CLIENTS, new()).status_code == 403
    assert service.get(CLIENTS, params={"user_id": ada.id}).status_code == 403


def test_nothing_goes_without_a_token(server: Server, ada: Person) -> None:
    made = create(ada)

    for refused in (*attempts(server.nobody, at(made)), server.nobody.get(CLIENTS)):
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == CHALLENGE


def test_each_operation_has_its_scope(server: Server, ada: Person) -> None:
    made = create(ada)
    reader, writer = scoped(server, ada, "auth:read"), scoped(server, ada, "auth:write")

    assert reader.get(at(made)).status_code == 200
    assert reader.get(CLIENTS).status_code == 200
    for refused in (*attempts(reader, at(made))[1:], reader.post(CLIENTS, new())):
        assert refused.status_code == 403
        assert 'scope="auth:write"' in refused.headers["www-authenticate"]
    for refused in (writer.get(at(made)), writer.get(CLIENTS)):
        assert refused.status_code == 403
        assert 'scope="auth:read"' in refused.headers["www-authenticate"]


# Changing.


def test_a_patch_changes_all_or_nothing(ada: Person) -> None:
    made = create(ada)
    before = ada.get(at(made)).json()

    failed = ada.patch(at(made), replace("/name", "New"), demand("/name", "Old"))
    unsafe = ada.patch(
        at(made), replace("/name", "New"), replace("/redirect_uris", ["http://evil.example/"])
    )
    unlisted = ada.patch(at(made), replace("/name", "New"), replace("/client_type", "public"))

    assert failed.status_code == 409
    assert unsafe.status_code == 422
    assert pointers(unsafe) == ["/1/value/0"]
    assert unlisted.status_code == 400
    assert ada.get(at(made)).json() == before


def test_a_patch_changes_three_things(ada: Person) -> None:
    made = create(ada)

    changed = ada.patch(
        at(made),
        demand("/name", "An app"),
        replace("/name", "New"),
        demand("/name", "New"),
        replace("/redirect_uris", ["https://new.example/cb", "http://localhost/cb"]),
        replace("/default_scopes", ["users:read"]),
    )

    assert changed.status_code == 200
    assert changed.json()["name"] == "New"
    assert changed.json()["redirect_uris"] == ["https://new.example/cb", "http://localhost/cb"]
    assert changed.json()["default_scopes"] == ["users:read"]
    assert ada.get(at(made)).json() == changed.json()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/name", ""),
        ("/name", "x" * 81),
        ("/name", None),
        ("/default_scopes", ["emperor"]),
        ("/redirect_uris", "https://app.example"),
        ("/redirect_uris/0", "https://app.example"),
        ("/grant_types", ["password"]),
        ("/user_id", 1),
        ("/client_secret", "mine"),
    ],
)
def test_a_patch_that_the_schema_refuses_is_400(ada: Person, path: str, value: Any) -> None:
    made = create(ada)

    assert ada.patch(at(made), replace(path, value)).status_code == 400


@pytest.mark.parametrize("uris", [[], *([uri] for uri in UNSAFE)])
def test_a_change_keeps_redirect_uris_safe(ada: Person, uris: list[str]) -> None:
    made = create(ada)

    refused = ada.patch(at(made), replace("/redirect_uris", uris))

    assert refused.status_code == 422
    assert pointers(refused) == ["/0/value/0" if uris else "/0/value"]
    assert ada.get(at(made)).json()["redirect_uris"] == [CALLBACK]


def test_a_narrower_token_changes_no_client(server: Server, ada: Person, admin: Person) -> None:
    made = create(ada)

    for person in (scoped(server, ada, "auth:write"), scoped(server, admin, "auth:write")):
        assert person.patch(at(made), replace("/name", "New")).status_code == 403
        assert person.request("POST", f"{at(made)}/secret").status_code == 403
    assert ada.get(at(made)).json()["name"] == "An app"
    # Deleting gives nobody anything.
    assert scoped(server, ada, "auth:write").delete(at(made)).status_code == 204


def test_a_narrower_token_changes_a_narrower_client(server: Server, ada: Person) -> None:
    made = create(ada, default_scopes=["users:read"])
    narrow = scoped(server, ada, "auth:write users:read")

    assert narrow.patch(at(made), replace("/name", "New")).status_code == 200
    assert narrow.request("POST", f"{at(made)}/secret").status_code == 201
    wider = narrow.patch(at(made), replace("/default_scopes", ["users:read", "teams:read"]))
    assert wider.status_code == 403
    assert pointers(wider) == ["/0/value"]
    assert ada.get(at(made)).json()["default_scopes"] == ["users:read"]


def test_a_change_of_redirect_uris_ends_remembered_consent(server: Server) -> None:
    client, browser = register(server), Browser(server)
    owner = owner_of(server)
    code = allowed(server, client, browser)
    issued = server.client.post(TOKEN, data=client.exchange(code)).json()
    assert "code" in led_to(browser.open(AUTHORIZE, client.request()))[1]

    path = f"{CLIENTS}/{client.client_id}"
    # Another name, or the same URIs, ask nobody again.
    owner.patch(path, replace("/name", "New"), replace("/redirect_uris", [CALLBACK]))
    assert "code" in led_to(browser.open(AUTHORIZE, client.request()))[1]
    changed = owner.patch(path, replace("/redirect_uris", [CALLBACK, f"{CALLBACK}2"]))

    assert changed.status_code == 200
    assert browser.open(AUTHORIZE, client.request()).status_code == 200
    assert "New" in browser.page.text
    assert works(server, issued)


def test_a_redirect_uri_that_is_gone_is_no_longer_led_to(server: Server) -> None:
    client = register(server)
    owner_of(server).patch(
        f"{CLIENTS}/{client.client_id}", replace("/redirect_uris", ["https://new.example/"])
    )

    assert Browser(server).open(AUTHORIZE, client.request()).status_code == 400


@pytest.mark.parametrize("more", [[], [CALLBACK]], ids=["another", "one more"])
def test_no_code_outlives_a_change_of_the_redirect_uris(server: Server, more: list[str]) -> None:
    """Or an app would get tokens that its user could neither see nor withdraw in between."""
    client, browser = register(server), Browser(server)
    owner = owner_of(server)
    code = allowed(server, client, browser)
    uris = [*more, "https://new.example/"]

    owner.patch(f"{CLIENTS}/{client.client_id}", replace("/redirect_uris", uris))

    assert client.client_id not in str(owner.get("/users/me/authorizations").json())
    refused = server.client.post(TOKEN, data=client.exchange(code))
    assert refused.json()["error"] == "invalid_grant"


def test_fewer_scopes_end_the_grants_that_have_more(server: Server) -> None:
    client = register(server)
    issued = tokens(server, client)
    path = f"{CLIENTS}/{client.client_id}"

    owner_of(server).patch(path, replace("/default_scopes", ["users:read", "teams:read"]))
    assert works(server, issued)
    owner_of(server).patch(path, replace("/default_scopes", ["users:read"]))

    assert not works(server, issued)
    assert refresh(server, client, issued).json()["error"] == "invalid_grant"


# Secrets.


def test_a_new_secret_ends_the_old_one_and_tokens_live_on(server: Server) -> None:
    client = register(server)
    issued = tokens(server, client)

    made = owner_of(server).request("POST", f"{CLIENTS}/{client.client_id}/secret")

    assert made.status_code == 201
    assert made.json().keys() == {"client_id", "client_secret"}
    assert made.json()["client_secret"] != client.secret
    assert made.headers["cache-control"] == "no-store"
    assert works(server, issued)
    refused = refresh(server, client, issued)
    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_client"
    renewed = App(client.client_id, made.json()["client_secret"])
    assert refresh(server, renewed, issued).status_code == 200


def test_a_public_client_gets_no_secret(ada: Person) -> None:
    made = create(ada, client_type="public")

    assert ada.request("POST", f"{at(made)}/secret").status_code == 409


def test_nor_does_the_public_client_of_the_development_data(server: Server) -> None:
    refused = server.admin.request("POST", f"{CLIENTS}/{CLIENT_ID}/secret")

    assert refused.status_code == 409
    form = {"grant_type": "client_credentials"}
    issued = server.client.post(TOKEN, data=form, headers=basic(CLIENT_ID, CLIENT_SECRET))
    assert issued.status_code == 200


# Deleting.


def test_a_deleted_client_takes_its_tokens_along(server: Server) -> None:
    client, other = register(server), register(server)
    issued, theirs = tokens(server, client), tokens(server, other)
    code_of = register(server)
    code = allowed(server, code_of)
    owner = owner_of(server)

    for each in (client, code_of):
        assert owner.delete(f"{CLIENTS}/{each.client_id}").status_code == 204

    assert not works(server, issued)
    assert refresh(server, client, issued).json()["error"] == "invalid_client"
    exchanged = server.client.post(TOKEN, data=code_of.exchange(code))
    assert exchanged.json()["error"] == "invalid_client"
    assert Browser(server).open(AUTHORIZE, client.request()).status_code == 400
    assert works(server, theirs)
    again = owner.delete(f"{CLIENTS}/{client.client_id}")
    assert again.status_code == 404


def test_a_deleted_users_clients_go_with_it(server: Server, ada: Person, admin: Person) -> None:
    made = create(ada)
    client = App(made["client_id"], made["client_secret"])
    issued = tokens(server, client)

    assert ada.delete(f"/users/{ada.id}").status_code == 204

    assert admin.get(at(made)).status_code == 404
    assert not works(server, issued)


def test_a_deactivated_owners_clients_go_on(server: Server, ada: Person) -> None:
    made = create(ada)
    client = App(made["client_id"], made["client_secret"])
    issued = tokens(server, client)

    proof = demand("/current_password", "q")
    changed = server.admin.patch(f"/users/{ada.id}", proof, replace("/is_active", False))

    assert changed.status_code == 200, changed.text
    assert works(server, issued)
    assert works(server, refresh(server, client, issued).json())
