"""ETag, If-None-Match and If-Match: nobody reads twice or overwrites what has changed."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from roster.contract import loader
from roster.contract.errors import DefinitionError
from roster.stack.authorization import Rules
from roster.stack.preconditions import find_precondition
from tests.serving import PROOF, Person, Server, replace

MALFORMED = ["x", 'W"x"', '"x', '"a" "b"', ",", ""]
STALE = '"' + "0" * 64 + '"'


@dataclass(frozen=True)
class Resource:
    """A resource that Ada may read, change and delete."""

    path: str
    change: Callable[[str], list[Any]]
    taken: str


@pytest.fixture(params=["user", "team", "client"])
def resource(request: pytest.FixtureRequest, server: Server, ada: Person) -> Resource:
    if request.param == "user":
        return Resource(
            f"/users/{ada.id}", lambda text: [PROOF, replace("/first_name", text)], "first_name"
        )
    if request.param == "team":
        team = server.team("Analysts", ada)
        return Resource(f"/teams/{team}", lambda text: [replace("/title", text)], "title")
    body = {"name": "Calendar", "redirect_uris": ["https://example.org/cb"]}
    made = ada.post("/auth/oauth2_clients", body).json()["client_id"]
    return Resource(f"/auth/oauth2_clients/{made}", lambda text: [replace("/name", text)], "name")


def changed(person: Person, resource: Resource, text: str, if_match: str | None) -> Any:
    headers = {"Content-Type": "application/json-patch+json"}
    headers |= {} if if_match is None else {"If-Match": if_match}
    body = resource.change(text)
    return person.request("PATCH", resource.path, json=body, headers=headers)


def test_what_is_still_the_same_is_not_sent_again(ada: Person, resource: Resource) -> None:
    first = ada.get(resource.path)
    tag = first.headers["ETag"]

    again = ada.get(resource.path, headers={"If-None-Match": tag})

    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert first.headers["Cache-Control"] == again.headers["Cache-Control"] == "private, no-cache"
    assert ada.get(resource.path, headers={"If-None-Match": STALE}).json() == first.json()


def test_oneself_has_the_tag_of_the_user(ada: Person) -> None:
    tag = ada.get("/users/me").headers["ETag"]

    assert ada.get(f"/users/{ada.id}").headers["ETag"] == tag
    assert ada.get("/users/me", headers={"If-None-Match": tag}).status_code == 304


def test_a_change_tells_the_tag_of_what_it_made(ada: Person, resource: Resource) -> None:
    before = ada.get(resource.path).headers["ETag"]

    answer = changed(ada, resource, "Another", before)

    assert (answer.status_code, answer.json()[resource.taken]) == (200, "Another")
    assert answer.headers["ETag"] == ada.get(resource.path).headers["ETag"] != before
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "form", ["*", "{}", '"x", {}', '{}, W/"x"', '"a,b" , {}', ", ,{},", '"x",, {} ,']
)
def test_a_change_of_what_was_read_is_made(ada: Person, resource: Resource, form: str) -> None:
    tag = ada.get(resource.path).headers["ETag"]

    assert changed(ada, resource, "Another", form.format(tag)).status_code == 200


@pytest.mark.parametrize("form", [STALE, "W/{}", '""', f'{STALE}, "x"'])
def test_a_change_of_something_else_changes_nothing(
    ada: Person, resource: Resource, form: str
) -> None:
    before = ada.get(resource.path)

    answer = changed(ada, resource, "Another", form.format(before.headers["ETag"]))

    assert (answer.status_code, answer.json()["title"]) == (412, "Precondition Failed")
    assert ada.get(resource.path).content == before.content


@pytest.mark.parametrize("tag", MALFORMED)
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_malformed_tag_is_refused(ada: Person, resource: Resource, method: str, tag: str) -> None:
    body = {"json": resource.change("Another")} if method == "PATCH" else {}
    headers = {"If-Match": tag}
    before = ada.get(resource.path).content

    answer = ada.request(method, resource.path, headers=headers, **body)

    assert answer.status_code == 400
    assert ada.get(resource.path).content == before


def test_nothing_is_deleted_but_what_was_read(ada: Person, resource: Resource) -> None:
    tag = ada.get(resource.path).headers["ETag"]

    refused = ada.request("DELETE", resource.path, headers={"If-Match": STALE})
    assert refused.status_code == 412
    assert ada.get(resource.path).headers["ETag"] == tag

    assert ada.request("DELETE", resource.path, headers={"If-Match": tag}).status_code == 204


def test_who_may_not_know_of_it_learns_nothing_by_a_tag(
    ada: Person, eve: Person, resource: Resource
) -> None:
    for tag in (ada.get(resource.path).headers["ETag"], STALE, "*"):
        assert changed(eve, resource, "Another", tag).status_code == 404


def test_who_may_not_change_it_learns_nothing_by_a_tag(
    server: Server, ada: Person, bob: Person
) -> None:
    path = f"/teams/{server.team('Analysts', ada, bob)}"
    team = Resource(path, lambda text: [replace("/title", text)], "title")

    for tag in (ada.get(path).headers["ETag"], STALE, "*"):
        assert changed(bob, team, "Another", tag).status_code == 403


def test_a_patch_that_only_tests_is_judged_too(ada: Person) -> None:
    path = f"/users/{ada.id}"
    tested = Resource(path, lambda _: [PROOF], "")

    assert changed(ada, tested, "", STALE).status_code == 412
    assert changed(ada, tested, "", ada.get(path).headers["ETag"]).status_code == 200


def test_a_member_that_comes_changes_the_tag_of_the_team(
    server: Server, ada: Person, bob: Person
) -> None:
    path = f"/teams/{server.team('Analysts', ada)}"
    team = Resource(path, lambda text: [replace("/title", text)], "title")
    before = ada.get(path).headers["ETag"]
    ada.post(f"{path}/members", {"user_id": bob.id})

    assert changed(ada, team, "Another", before).status_code == 412


def test_of_two_who_change_what_both_have_read_one_does(ada: Person, resource: Resource) -> None:
    for number in range(5):
        tag = ada.get(resource.path).headers["ETag"]
        with ThreadPoolExecutor(2) as pool:
            texts = [f"Text {number}{letter}" for letter in "ab"]
            answers = list(pool.map(partial(changed, ada, resource, if_match=tag), texts))

        assert sorted(each.status_code for each in answers) == [200, 412]
        [made] = [each.json() for each in answers if each.status_code == 200]
        assert ada.get(resource.path).json() == made


def test_two_who_change_different_members_lose_nothing(server: Server, ada: Person) -> None:
    names = ("first_name", "middle_name", "last_name")
    for number in range(3):

        def change(name: str, text: str = f"Text {number}") -> int:
            answer = ada.patch(f"/users/{ada.id}", PROOF, replace(f"/{name}", text))
            return int(answer.status_code)

        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(change, names)) == [200] * 3
        now = ada.get("/users/me").json()
        assert [now[name] for name in names] == [f"Text {number}"] * 3


def test_every_single_resource_that_can_be_changed_has_versions() -> None:
    definition = loader.load("production")
    places = {(each.path, each.method): each for each in definition.operations}
    changed = [
        each
        for (path, method), each in places.items()
        if method in {"PATCH", "DELETE"} and (path, "GET") in places
    ]

    assert len(changed) >= 6
    for operation in changed:
        assert "If-Match" in {each["name"] for each in operation.parameters}
        assert "412" in operation.spec["responses"]
        assert "ETag" in places[operation.path, "GET"].success[1]["headers"]


@pytest.mark.one_database
def test_a_condition_without_something_to_compare_it_with_stops_the_start(
    tmp_path: Path, server: Server
) -> None:
    folder = tmp_path / "openapi"
    shutil.copytree(loader.FOLDER, folder)
    file = folder / "paths" / "api@v1@teams@{team_id}.yaml"
    text = file.read_text("utf-8")
    tag = "        ETag: {$ref: ../components/headers/ETag.yaml}\n"
    file.write_text(text.replace(tag, "", 1), "utf-8")
    defined = loader.load("production", folder)
    change = next(each for each in defined.operations if each.id == "change_team")

    with pytest.raises(DefinitionError, match="If-Match needs an object"):
        find_precondition(change, defined, Rules(server.app.settings), lambda _: lambda *_: None)
