from typing import Any

import pytest

from models import patch
from models.errors import Conflict
from tests.models.factories import checking, replacing


def test_operations_apply_one_after_the_other() -> None:
    document = {"title": "Old", "size": 1}
    operations = [
        checking("/title", "Old"),
        replacing("/title", "New"),
        checking("/title", "New"),
        replacing("/title", "Newest"),
    ]
    assert patch.apply(document, operations) == {"title": "Newest", "size": 1}
    assert document == {"title": "Old", "size": 1}


def test_no_operations_change_nothing() -> None:
    assert patch.apply({"title": "Old"}, []) == {"title": "Old"}


def test_a_failed_test_is_a_conflict_that_points_to_its_value_without_naming_any() -> None:
    operations = [replacing("/title", "New"), checking("/title", "Secret")]
    with pytest.raises(Conflict) as raised:
        patch.apply({"title": "Old"}, operations)
    [(pointer, detail)] = raised.value.errors
    assert pointer == "/1/value"
    for text in (raised.value.detail, detail):
        assert not any(value in text for value in ("Secret", "New", "Old"))


def test_only_replace_replaces() -> None:
    operations = [checking("/email", "a"), replacing("/title", "b")]
    assert patch.replaces(operations, "/email", "/title")
    assert not patch.replaces(operations, "/email")


def test_the_pointer_is_to_the_last_replacement() -> None:
    operations = [replacing("/a", 1), replacing("/a", 2), checking("/a", 2), replacing("/b", 1)]
    assert patch.pointer(operations, "/a") == "/1/value"


def test_members_that_an_operation_does_not_have_mean_nothing() -> None:
    operations: list[Any] = [
        {**checking("/title", "Old"), "from": "/size", "comment": {"a": [1]}},
        {**replacing("/title", "New"), "from": 1, "xyz": None},
    ]
    assert patch.apply({"title": "Old", "size": 1}, operations) == {"title": "New", "size": 1}
