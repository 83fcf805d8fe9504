"""The commands that print the definition, and what it says of each operation."""

import click

from roster import settings
from roster.cli.table import print_table
from roster.contract import loader
from roster.contract.extensions import ENVIRONMENTS
from roster.contract.operation import Operation
from roster.settings import Settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of YAML.")
@click.option(
    "--environment",
    type=click.Choice(ENVIRONMENTS),
    default="production",
    show_default=True,
    help="The environment whose definition to print.",
)
def spec(*, as_json: bool, environment: str) -> None:
    """Print the definition, bundled as it is served. No setting is needed."""
    defined = loader.load(environment)
    click.echo(defined.as_json if as_json else defined.as_yaml, nl=False)


@click.command()
def routes() -> None:
    """Print a table of the operations: method, path, operation, scopes, and who may call."""
    current = settings.load()
    print_table(
        ("METHOD", "PATH", "OPERATION", "SCOPES", "WHO"),
        (
            (each.method, each.path, each.id, *access(each, current))
            for each in loader.load(current.environment).operations
        ),
    )


def is_metrics(operation: Operation) -> bool:
    """Tell whether an operation takes the operator's token for the metrics."""
    return any("metrics" in requirement for requirement in operation.spec.get("security", ()))


def access(operation: Operation, current: Settings) -> tuple[str, str]:
    """Name the scopes without which an operation cannot be called, or its scheme, and who may."""
    if is_metrics(operation):
        if current.metrics_token.get_secret_value():
            return "metrics", "who has the operator's token"
        if not current.is_development:
            return "metrics", "nobody, as ROSTER_METRICS_TOKEN is not set"
    scopes = "none" if operation.is_open else " ".join(sorted(operation.scopes))
    return scopes, operation.permission.who
