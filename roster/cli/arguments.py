"""Arguments: what commands take, and refuse where the API would refuse it."""

import re
from collections.abc import Callable

import click

from models.database.base import is_storable
from roster.contract import loader
from roster.contract.schemas import Schema

# An id that the server gave to a client, of those that begin with a dash. No option is so long,
# and one with its value has signs that no id has.
_ID = re.compile(r"-[A-Za-z0-9_-]{31}", re.ASCII)


def check_by(
    schema: str, sentence: str, error: Callable[[str], Exception]
) -> Callable[[click.Context, click.Parameter, str], str]:
    """Make the callback that refuses what the API refuses, by a schema of the definition."""

    def check(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
        schemas = loader.load("production").document["components"]["schemas"]
        if not is_storable(value) or Schema(schemas[schema]).errors(value):
            raise error(sentence.format_map(schemas[schema]))
        return value

    return check


class CommandOfClient(click.Command):
    """A command with a client's id as its argument, which may begin with a dash.

    Older ids can; new ones do not.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Move such an id behind `--`, where nothing is an option."""
        ids = [each for each in args if _ID.fullmatch(each)]
        if "--" in args or not ids:
            return super().parse_args(ctx, args)
        return super().parse_args(ctx, [*(each for each in args if each not in ids), "--", *ids])
