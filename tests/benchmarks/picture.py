"""The picture: requests per second as bars, in SVG."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from tests.benchmarks.databases import LABELS
from tests.benchmarks.operations import LABELS as OPERATIONS
from tests.benchmarks.results import Results
from tests.benchmarks.servers import Kind
from tests.benchmarks.suites import Suite

_WIDTH, _PANEL, _LABEL, _BAR, _GAP = 880, 440, 158, 13, 16
_TOP, _HEAD, _FOOT = 54, 20, 34

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


@dataclass(frozen=True)
class Part:
    """A part of the benchmark: which servers it measured, and what came out on each database."""

    suite: Suite
    kinds: Sequence[Kind]
    results: Mapping[str, Results]

    @property
    def shown(self) -> list[str]:
        """The operations that have bars."""
        measured = self.results.values()
        return [name for name in self.suite.shown if all(name in each.rounds for each in measured)]

    @property
    def barred(self) -> list[Kind]:
        """The servers that have bars: the limit is ten times as long, so it is told in figures."""
        return [kind for kind in self.kinds if kind.name != "limit"]

    @property
    def group(self) -> int:
        """The height of an operation."""
        return _HEAD + len(self.barred) * (_BAR + 3) + _GAP

    @property
    def height(self) -> int:
        """The height of all of it."""
        return 2 * _HEAD + len(self.shown) * self.group + _FOOT


def draw(parts: Sequence[Part], subtitle: str) -> str:
    """Draw, for each part, a panel for each kind of database with a group of bars per operation.

    The bars of one panel have one scale.
    """
    parts = [part for part in parts if part.shown]
    height = _TOP + sum(part.height for part in parts)
    width = _WIDTH if any(len(part.results) > 1 for part in parts) else _PANEL + 20
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{_TITLE}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="6"/>',
        _text(20, 28, _TITLE, "title"),
        _text(20, 46, subtitle, "quiet"),
    ]
    top = _TOP
    for part in parts:
        for number, (database, each) in enumerate(part.results.items()):
            left = 20 + number * (_PANEL - 10)
            head = f"{part.suite.label} on {LABELS[database]}"
            drawn.append(_text(left, top + 22, head[:1].upper() + head[1:], "title"))
            drawn += _panel(each, part, left, top + 2 * _HEAD)
        top += part.height
        drawn.append(_text(20, top - 20, part.suite.note, "quiet"))
    return "\n".join([*drawn, "</svg>", ""])


def _panel(results: Results, part: Part, left: int, first: int) -> Iterable[str]:
    """Draw the bars of a part on one kind of database, from some height on."""
    rates = [
        results.rate(name, server)
        for name in part.shown
        for server in results.rounds[name]
        if server != "limit"
    ]
    scale = (_PANEL - _LABEL - 80) / max(rates, default=1)
    for number, operation in enumerate(part.shown):
        top = first + number * part.group
        measured = results.rounds[operation]
        yield _text(left, top + 12, OPERATIONS[operation], "head")
        if "limit" in measured:
            limit = f"the limit: {results.rate(operation, 'limit'):,.0f}"
            yield _text(left + _PANEL - 40, top + 12, limit, "quiet", "end")
        for row, kind in enumerate(kind for kind in part.barred if kind.name in measured):
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
