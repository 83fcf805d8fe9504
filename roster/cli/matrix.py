"""The command that prints who may do what: operations and roles."""

import os
from collections.abc import Mapping, Sequence
from itertools import product
from types import SimpleNamespace
from typing import Any

import click

from models.caller import Caller
from roster import settings
from roster.cli.definition import access, is_metrics
from roster.cli.table import print_table
from roster.contract import loader
from roster.contract.matrix import MAY, SEES, SIGNS, Matrix
from roster.settings import Settings


@click.command()
def matrix() -> None:
    """Print which roles may call which operation, in colour on a terminal without NO_COLOR."""
    made = matrix_of(settings.load())
    color = False if os.environ.get("NO_COLOR") else None
    print_table(
        ("OPERATION", *made.roles, "NOTES"),
        (
            (each.operation.id, *map(str, each.cells), ",".join(map(str, each.notes)))
            for each in made.rows
        ),
        _coloured,
        color=color,
    )
    click.echo()
    width = max(map(len, (*made.roles, *SIGNS)))
    for sign, meaning in {**SIGNS, **made.roles}.items():
        click.echo(f"{_coloured(sign.ljust(width))}  {meaning}", color=color)
    click.echo()
    for number, note in enumerate(made.notes, 1):
        click.echo(f"{number:{width}}  {note}")


def matrix_of(current: Settings) -> Matrix:
    """Make the matrix of the operations and roles of these settings' environment."""
    operations = loader.load(current.environment).operations
    elsewhere = {each.id: access(each, current)[1] for each in operations if is_metrics(each)}
    if current.is_development and not current.metrics_token.get_secret_value():
        elsewhere = {}
    return Matrix.of(operations, _roles_at_any_rate(), elsewhere)


def _roles_at_any_rate() -> Mapping[str, Sequence[str]]:
    """Return the roles that every caller with a role has besides: an admin is a writer."""
    flags = ("is_active", "is_regular_user", "is_admin", "is_internal")
    accounts: list[Any] = [
        SimpleNamespace(**dict(zip(flags, values, strict=True)))
        for values in product((True, False), repeat=len(flags))
    ]
    found: dict[str, frozenset[str]] = {}
    for roles in (Caller(user=account).roles for account in accounts):
        for role in roles:
            found[role] = found.get(role, roles) & roles
    return {role: sorted(besides) for role, besides in found.items()}


def _coloured(cell: str) -> str:
    sign = cell.partition(" ")[0]
    if sign == MAY:
        return click.style(cell, fg="green", bold=True)
    return click.style(cell, fg="yellow") if sign == SEES else cell
