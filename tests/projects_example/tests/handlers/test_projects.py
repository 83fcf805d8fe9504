"""Projects over HTTP: listing, creating, reading, changing and deleting them."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.serving import Person, Server, demand, patch, pointers, replace


@pytest.fixture
def projects(server: Server, ada: Person, bob: Person) -> str:
    """Return the path of the projects of a team that ada leads, with bob as a plain member."""
    return f"/teams/{server.team('Engines', ada, bob)}/projects"


def names(answer: Any) -> list[str]:
    return [project["name"] for project in answer.json()]


def test_a_leader_creates_a_project_that_members_read(
    ada: Person, bob: Person, projects: str
) -> None:
    created = ada.post(projects, {"name": "Bernoulli numbers"})
    path = f"{projects}/{created.json()['id']}"

    assert created.status_code == 201
    assert urlsplit(created.headers["location"]).path == f"/api/v1{path}"
    assert created.json()["name"] == "Bernoulli numbers"
    assert created.json()["archived"] is False
    assert bob.get(path).json() == created.json()


@pytest.mark.parametrize("name", ["", "n" * 81, "\u200b", None, 1])
def test_a_name_that_nobody_can_read_is_refused(ada: Person, projects: str, name: Any) -> None:
    answer = ada.post(projects, {"name": name})

    assert answer.status_code == 400
    assert pointers(answer) == ["/name"]


def test_the_list_has_all_projects_or_those_that_are_archived_or_not(
    ada: Person, bob: Person, projects: str
) -> None:
    *_, third = (ada.post(projects, {"name": name}).json() for name in ("first", "second", "third"))
    ada.patch(f"{projects}/{third['id']}", replace("/archived", True))

    assert names(bob.get(projects)) == ["first", "second", "third"]
    assert names(bob.get(f"{projects}?archived=false")) == ["first", "second"]
    assert names(bob.get(f"{projects}?archived=true&cursor=")) == ["third"]
    assert bob.get(f"{projects}?archived=maybe").status_code == 400


def test_the_list_comes_in_pages(ada: Person, projects: str, server: Server) -> None:
    for name in ("first", "second", "third"):
        ada.post(projects, {"name": name})

    page = ada.get(f"{projects}?limit=2&cursor=")
    following = server.client.get(page.links["next"]["url"], headers=ada.headers)

    assert names(page) == ["first", "second"]
    assert names(following) == ["third"]


def test_a_patch_changes_the_name_and_archives(ada: Person, projects: str) -> None:
    project = ada.post(projects, {"name": "first"}).json()
    path = f"{projects}/{project['id']}"

    changed = ada.patch(path, replace("/name", "second"), replace("/archived", True))

    assert (changed.json()["name"], changed.json()["archived"]) == ("second", True)
    assert ada.get(path).json() == changed.json()
    assert ada.patch(path, demand("/name", "first"), replace("/name", "x")).status_code == 409
    assert ada.patch(path, replace("/team_id", 1)).status_code == 400


def test_a_project_is_found_in_its_own_team_alone(
    ada: Person, projects: str, server: Server
) -> None:
    project = ada.post(projects, {"name": "first"}).json()
    other = server.team("Poetry", ada)

    assert ada.get(f"/teams/{other}/projects/{project['id']}").status_code == 404
    assert ada.delete(f"/teams/{other}/projects/{project['id']}").status_code == 404


def test_a_project_ends_by_deletion_or_with_its_team(ada: Person, projects: str) -> None:
    deleted, left = (ada.post(projects, {"name": name}).json()["id"] for name in ("a", "b"))

    assert ada.delete(f"{projects}/{deleted}").status_code == 204
    assert ada.get(f"{projects}/{deleted}").status_code == 404
    assert ada.delete(projects.removesuffix("/projects")).status_code == 204
    assert ada.get(f"{projects}/{left}").status_code == 404


def test_a_change_from_an_older_version_is_refused(ada: Person, projects: str) -> None:
    path = f"{projects}/{ada.post(projects, {'name': 'first'}).json()['id']}"
    etag = ada.get(path).headers["etag"]
    changed = ada.patch(path, replace("/name", "second"))

    assert ada.get(path, headers={"If-None-Match": changed.headers["etag"]}).status_code == 304
    for method, options in (("PATCH", patch(replace("/name", "third"))), ("DELETE", {})):
        headers = {**options.pop("headers", {}), "If-Match": etag}
        assert ada.request(method, path, headers=headers, **options).status_code == 412
    assert ada.get(path).json() == changed.json()
