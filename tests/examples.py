"""Requests to any operation, made from the definition's examples and from rows made for them."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Table, exists, select
from sqlalchemy.orm import Session

import models
from roster.contract.operation import Operation
from tests import rows

# The path parameters of the objects that tests make themselves, with their tables.
TABLES = {"team_id": "teams", "user_id": "users", "client_id": "clients"}

# Returns a row of a table, that hangs on the rows with these ids by their tables.
Find = Callable[[Table, Mapping[str, int]], Any]


def example(holder: Mapping[str, Any]) -> Any:
    """Return the first example of a Media Type Object or of a Parameter Object."""
    for named in holder.get("examples", {}).values():
        return named["value"]
    return holder.get("example", holder.get("schema", {}).get("example"))


def body_of(operation: Operation) -> Any:
    """Return the first example of the body; None where the operation takes none."""
    for content in operation.request_content.values():
        return example(content)
    return None


def query_of(operation: Operation) -> dict[str, Any]:
    """Return the query of a request: the parameters that it needs, by their examples."""
    return {
        each["name"]: example(each)
        for each in operation.parameters
        if each["in"] == "query" and each.get("required")
    }


def request_of(operation: Operation, body: Any = None) -> dict[str, Any]:
    """Return the options of a request with the body, by default that of the example."""
    query = query_of(operation)
    options: dict[str, Any] = {"params": query} if query else {}
    body = body_of(operation) if body is None else body
    if body is None:
        return options
    media_type = next(iter(operation.request_content))
    if "json" not in media_type:
        return {**options, "data": body}
    return {**options, "content": json.dumps(body), "headers": {"Content-Type": media_type}}


def path_of(
    operation: Operation, known: Mapping[str, Any], ids: Mapping[str, int], find: Find
) -> str:
    """Return a path of the operation, whose parameters are known, or the ids of rows.

    `ids` are those of the rows of known parameters, by their tables.
    """
    values, ids = dict(known), dict(ids)
    for name in re.findall(r"\{(\w+)\}", operation.path):
        if name in values:
            continue
        table = _table_of(name, operation)
        row = find(table, ids)
        [key] = table.primary_key.columns
        ids[table.name] = getattr(row, key.name)
        values[name] = getattr(row, name, ids[table.name])
    return operation.path.format_map(values)


def _table_of(parameter: str, operation: Operation) -> Table:
    name = parameter.removesuffix("_id")
    named = name if name in models.NAMED_OBJECTS else operation.permission.object
    found = models.NAMED_OBJECTS.get(str(named))
    if found is None:
        raise AssertionError(
            f"Nothing tells what {parameter} in the path of {operation.id} names: let it be that"
            " of an object in models.NAMED_OBJECTS, with _id."
        )
    mapped: Any = found.mapped
    table = mapped.__table__
    assert isinstance(table, Table)
    return table


def made(session: Session) -> Find:
    """Return a function that makes each row that is asked for."""
    return lambda table, ids: rows.make(session, table, ids)


def found(session: Session) -> Find:
    """Return a function that finds a row that hangs on the others."""

    def find(table: Table, ids: Mapping[str, int]) -> Any:
        parents = {
            column: ids[foreign.column.table.name]
            for column in table.columns
            for foreign in column.foreign_keys
            if foreign.column.table.name in ids and not column.nullable
        }
        these = select(table).where(*(column == id for column, id in parents.items())).limit(1)
        # Rather one on which others hang, for a longer path may name these.
        keys = [
            column == foreign.column
            for other in table.metadata.sorted_tables
            for column in other.columns
            for foreign in column.foreign_keys
            if foreign.column.table is table and other is not table
        ]
        row = session.execute(these.where(*(exists().where(key) for key in keys))).first()
        row = row or session.execute(these).first()
        assert row, f"No row of {table.name} hangs on {dict(ids)}."
        return row

    return find
