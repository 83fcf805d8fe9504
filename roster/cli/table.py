"""Tables: columns as wide as what is in them."""

from collections.abc import Callable, Iterable, Sequence

import click


def print_table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    style: Callable[[str], str] = str,
    *,
    color: bool | None = None,
) -> None:
    """Print rows below their head, with blanks between the columns and none at the end.

    :param style: adds the colour to a cell of a row, which has its width by then.
    :param color: whether colours are printed; None where only a terminal gets them.
    """
    table = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for index, row in enumerate(table):
        last = max((at for at, cell in enumerate(row) if cell), default=0)
        cells = [
            cell if at == last else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        cells = cells[: last + 1]
        click.echo("  ".join(map(style, cells) if index else cells), color=color)
