"""The command that checks what a developer writes: definition, handlers, models, migrations."""

import importlib
import itertools
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

import models
from models.database import migrate
from models.database.expanding import contractions
from roster import application, settings
from roster.cli.production import of_production
from roster.contract import generators, loader
from roster.contract.definition import Definition
from roster.contract.errors import DefinitionError
from roster.contract.extensions import ENVIRONMENTS
from roster.contract.kinds import error_at
from roster.contract.structure import MAX_LENGTH
from roster.settings import Settings
from roster.stack import handlers

# What production needs, of which nothing is used.
_SETTINGS: dict[str, dict[str, Any]] = {
    "development": {},
    "production": {"secret_key": "0123456789abcdef", "trusted_proxies": 0},
}


@click.command()
@click.option("--production", is_flag=True, help="Check what a start in production needs instead.")
def check(*, production: bool) -> None:
    """Check that the definition, the handlers, the models and the migrations fit together.

    With --production, print a line for each thing that would stop or weaken a server that starts
    with these settings on this database.
    """
    found = of_production() if production else (*_of_the_contract(), *_of_the_models())
    lines = dict.fromkeys(found)
    for line in lines:
        click.echo(f"roster: {line}", err=True)
    if lines:
        raise SystemExit(1)
    if production:
        click.echo("Nothing is in the way of production.")
        return
    click.echo("The definition, the handlers, the models and the migrations fit together.")


def _of_the_contract() -> Iterator[str]:
    """Yield the mistakes of the definition, and only where there is none those of its handlers."""
    definitions = []
    for environment in ENVIRONMENTS:
        try:
            definitions.append(loader.load(environment))
        except DefinitionError as error:
            yield from map(str, error.all)
    if len(definitions) < len(ENVIRONMENTS):
        return
    for environment, definition in zip(ENVIRONMENTS, definitions, strict=True):
        yield from _of_the_application(environment)
        yield from _of_the_document(definition)
        yield from _without_an_example(definition)
    yield from _without_an_operation(definitions)


def _of_the_application(environment: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        current: Settings = settings.load(
            environment=environment,
            database_url=f"sqlite:///{Path(folder) / 'unused.db'}",
            **_SETTINGS[environment],
        )
        try:
            application.create_app(current).engine.dispose()
        except DefinitionError as error:
            yield from map(str, error.all)


def _of_the_document(definition: Definition) -> Iterator[str]:
    """Yield what the field's own validator says, which takes longer than a start may."""
    validator = importlib.import_module("openapi_spec_validator").OpenAPIV30SpecValidator
    for error in validator(definition.document).iter_errors():
        steps = [*error.absolute_path]
        file = definition.files.get(str(steps[1])) if len(steps) > 1 else None
        yield str(error_at(steps, str(error.message)[:MAX_LENGTH], file))
    for sentence, place in generators.mistakes(definition.public):
        file = definition.files.get(place[1]) if place[0] == "paths" else None
        yield str(error_at(place, sentence, file))


def _without_an_example(definition: Definition) -> Iterator[str]:
    """Yield each body and answer that has no example: the tests send the first, readers see all.

    A server starts without them, so that it serves any definition.
    """
    for operation in definition.operations:
        answers = operation.spec["responses"].items()
        contents = [("requestBody", operation.request_content)]
        contents += [(f"responses/{status}", each.get("content", {})) for status, each in answers]
        for place, content in contents:
            for media_type, held in content.items():
                if "example" in held or held.get("examples") or "x-unpublished" in held:
                    continue
                yield str(
                    DefinitionError(
                        f"{place}: there is no example of {media_type}",
                        file=definition.files.get(operation.path),
                        path=operation.path,
                        method=operation.method,
                    )
                )


def _without_an_operation(definitions: list[Definition]) -> Iterator[str]:
    operations = [each for definition in definitions for each in definition.operations]
    carried_out = {each.handler for each in operations}
    named = {each.rpartition(".")[0] for each in carried_out}
    for name in dict.fromkeys(itertools.chain.from_iterable(map(handlers.siblings, sorted(named)))):
        module = importlib.import_module(name)
        for function in handlers.functions(module):
            if f"{name}.{function}" not in carried_out:
                yield f"{_file(name)}: no operation names the function {function}"


def _file(module: str) -> str:
    spec = find_spec(module)
    path = Path(spec.origin or "") if spec else Path()
    return Path(*path.parts[-module.count(".") - 1 :]).as_posix()


def _of_the_models() -> Iterator[str]:
    package = models.__name__
    yield from (f"{package}: {sentence}" for sentence in migrate.differences())
    yield from contractions(migrate.MIGRATIONS)
