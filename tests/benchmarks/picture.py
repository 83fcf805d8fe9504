"""The picture: requests per second as bars, in SVG."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from tests.benchmarks.databases import LABELS
from tests.benchmarks.operations import LABELS as OPERATIONS
from tests.benchmarks.results import Results
from tests.benchmarks.servers import Kind

# Token requests are left out: they measure the password hash, or have no goal.
SHOWN = ("users_me", "users", "team", "create_team", "mix")

_WIDTH, _PANEL, _LABEL, _BAR, _GAP = 880, 440, 142, 13, 16
_TOP, _HEAD = 84, 20

_TITLE = "Requests per second, one worker on one core"

# It has a ground of its own, so that it can be read whatever surrounds it.
_STYLE = """
  .ground { fill: #ffffff; stroke: #d0d7de }
  text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .head { font-weight: 600 }
  .quiet { fill: #59636e }
  .bar { fill: #afb8c1 }
  .roster { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #3d444d }
    text { fill: #f0f6fc }
    .quiet { fill: #9198a1 }
    .bar { fill: #656c76 }
    .roster { fill: #4493f8 }
  }
"""


def draw(results: Mapping[str, Results], kinds: Sequence[Kind], subtitle: str) -> str:
    """Draw a panel for each kind of database, with a group of bars for each operation.

    The bars of one panel have one scale. The limit is ten times as long as the others, so it is
    told in figures.
    """
    shown = [name for name in SHOWN if all(name in each.rounds for each in results.values())]
    barred = [kind for kind in kinds if kind.name != "limit"]
    group = _HEAD + len(barred) * (_BAR + 3) + _GAP
    height = _TOP + len(shown) * group + 24
    width = _WIDTH if len(results) > 1 else _PANEL + 20
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{_TITLE}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="6"/>',
        _text(20, 28, _TITLE, "title"),
        _text(20, 46, subtitle, "quiet"),
    ]
    for number, (database, each) in enumerate(results.items()):
        left = 20 + number * (_PANEL - 10)
        parts.append(_text(left, 70, LABELS[database], "head"))
        parts += _panel(each, shown, barred, left, group)
    limit = "The limit: a bare ASGI callable with a raw database driver and orjson."
    parts.append(_text(20, height - 16, limit, "quiet"))
    return "\n".join([*parts, "</svg>", ""])


def _panel(
    results: Results, shown: Sequence[str], kinds: Sequence[Kind], left: int, group: int
) -> Iterable[str]:
    rates = [results.rate(name, kind.name) for name in shown for kind in kinds]
    scale = (_PANEL - _LABEL - 80) / max(rates, default=1)
    for number, operation in enumerate(shown):
        top = _TOP + number * group
        yield _text(left, top + 12, OPERATIONS[operation], "head")
        if "limit" in results.rounds[operation]:
            limit = f"the limit: {results.rate(operation, 'limit'):,.0f}"
            yield _text(left + _PANEL - 40, top + 12, limit, "quiet", "end")
        for row, kind in enumerate(kinds):
            y = top + _HEAD + row * (_BAR + 3)
            rate = results.rate(operation, kind.name)
            name = "roster" if kind.name == "roster" else "bar"
            length = max(1.0, rate * scale)
            yield _text(left + _LABEL - 8, y + 11, kind.label, "", "end")
            yield (
                f'<rect class="{name}" x="{left + _LABEL}" y="{y}" width="{length:.1f}"'
                f' height="{_BAR}" rx="2"/>'
            )
            yield _text(left + _LABEL + length + 6, y + 11, f"{rate:,.0f}")


def _text(x: float, y: float, text: str, name: str = "", anchor: str = "start") -> str:
    kind = f' class="{name}"' if name else ""
    end = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}"{kind}{end}>{escape(text)}</text>'
