"""Arguments: refused where the API would refuse them, by the schemas of the definition."""

from collections.abc import Callable

import click

from models.database.base import is_storable
from roster.contract import loader
from roster.contract.schemas import Schema


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
