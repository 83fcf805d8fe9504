"""The command that writes the reference: the definition, the guide, and who may do what."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from markupsafe import Markup

from roster import pages, settings
from roster.api.documentation import guide_text
from roster.cli.matrix import matrix_of
from roster.contract import loader
from roster.contract.matrix import NOTHING, SIGNS, Matrix

# Redoc's bundle loads it from the network, and does without where it is no picture.
_LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg"
_EXAMPLE = "https://roster.example.com"


@click.command()
@click.argument("script", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def reference(script: Path) -> None:
    """Print a page with all operations and who may call them, which needs nothing else.

    SCRIPT is Redoc's bundle, redoc.standalone.js; `make docs` fetches it.
    """
    current = settings.load()
    document: dict[str, Any] = dict(loader.load(current.environment).public)
    info = document["info"]
    document["info"] = {
        **info,
        "description": "\n".join(
            (info["description"], guide_text(_EXAMPLE), *_table(matrix_of(current)))
        ),
    }
    click.echo(
        pages.render(
            "reference",
            title=info["title"],
            version=info["version"],
            script=_inline(script.read_text(encoding="utf-8").replace(_LOGO, "data:,")),
            document=_inline(json.dumps(document, ensure_ascii=False).replace("<", "\\u003c")),
        )
    )


def _inline(script: str) -> Markup:
    """Let a script stand in a page, where its own text cannot end it."""
    return Markup(script.replace("</script", "<\\/script"))  # noqa: S704 (it is closed above)


def _table(matrix: Matrix) -> Iterator[str]:
    """Yield the lines of the matrix in Markdown."""
    yield "\n## Which role may call what\n"
    yield _row("operation", *matrix.roles, "notes")
    yield _row(*["---"] * (len(matrix.roles) + 2))
    for row in matrix.rows:
        cells = ("" if cell.sign == NOTHING else str(cell) for cell in row.cells)
        yield _row(
            f"[{row.operation.id}](#operation/{row.operation.id})",
            *cells,
            ", ".join(map(str, row.notes)),
        )
    yield ""
    yield from (f"- `{sign}` {meaning}" for sign, meaning in SIGNS.items() if sign != NOTHING)
    yield f"- an empty cell {SIGNS[NOTHING]}"
    yield from (f"- **{role}**: {noun}" for role, noun in matrix.roles.items())
    yield ""
    yield from (f"{number}. {note}" for number, note in enumerate(matrix.notes, 1))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
