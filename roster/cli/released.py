"""The commands that keep released definitions, and tell what the present one breaks of them."""

from pathlib import Path
from typing import Any

import click
import yaml

from roster.contract import loader
from roster.contract.changes import Change, breaking
from roster.contract.files import RELEASED, YamlLoader
from roster.contract.operation import each_operation

Version = tuple[int, ...]


@click.command()
def changes() -> None:
    """Print what the definition breaks of the one released last, and for whom.

    Breaking changes fail without a major step of the definition's version.
    """
    document = _present()
    found = _latest()
    if found is None:
        click.echo("No definition is released yet, so nothing can break: see roster release.")
        return
    name, released = found
    broken = breaking(released, document)
    for each in broken:
        click.echo(str(each))
    _refuse(name, document, broken)
    count = f"{len(broken)} breaking changes" if broken else "no breaking change"
    click.echo(f"{count} from {name} to {document['info']['version']}.")


@click.command()
def release() -> None:
    """Keep the definition of production as that of its version, for later ones to be compared with.

    What was kept is not written over.
    """
    document = _present()
    version = document["info"]["version"]
    found = _latest()
    if found is not None:
        name, released = found
        if version == name and released != document:
            raise click.ClickException(
                f"{version} is released already, and was another: raise info.version"
            )
        _refuse(name, document, breaking(released, document))
    file = loader.FOLDER / RELEASED / f"{version}.yaml"
    file.parent.mkdir(exist_ok=True)
    options: dict[str, Any] = {"sort_keys": False, "allow_unicode": True}
    file.write_text(yaml.dump(document, Dumper=_Dumper, **options), encoding="utf-8")
    click.echo(f"{file.relative_to(loader.FOLDER.parent)} is written.")


class _Dumper(yaml.SafeDumper):
    """Write the same object twice rather than by an anchor, for people who compare files."""

    def ignore_aliases(self, data: Any) -> bool:
        """Tell that no object is written by an anchor."""
        return True


def _refuse(name: str, document: dict[str, Any], broken: list[Change]) -> None:
    """Refuse a version that does not go with what was released.

    :raises ClickException: where it is too small a step.
    """
    before, now = _version(name), _version(document["info"]["version"])
    if now < before:
        raise click.ClickException(
            f"info.version is {document['info']['version']}, but {name} is released already"
        )
    if broken and now[0] == before[0]:
        raise click.ClickException(
            f"breaking changes since {name} need a major step of info.version, to"
            f" {before[0] + 1}.0.0: {len(broken)}, the first of them is {broken[0]}"
        )


def _present() -> dict[str, Any]:
    """Return the published definition of production, with who may call its operations."""
    defined = loader.load("production")
    document = dict(defined.public)
    document["paths"] = {path: dict(item) for path, item in document["paths"].items()}
    for path, method, operation in each_operation(document):
        permission = defined.document["paths"][path][method]["x-permission"]
        document["paths"][path][method] = {**operation, "x-permission": permission}
    return document


def _latest() -> tuple[str, dict[str, Any]] | None:
    """Return the version released last, and its definition; None where there is none."""
    folder = loader.FOLDER / RELEASED
    files = {_version(each.stem): each for each in folder.glob("*.yaml")}
    if not files:
        return None
    latest: Path = files[max(files)]
    with latest.open(encoding="utf-8") as opened:
        return latest.stem, yaml.load(opened, Loader=YamlLoader)  # nosec B506 # noqa: S506 (it is a safe one)


def _version(text: str) -> Version:
    try:
        return tuple(int(each) for each in text.partition("-")[0].split("."))
    except ValueError:
        raise click.ClickException(f"{text} is no version such as 1.2.0") from None
