"""The report: the table that the benchmark prints."""

from collections.abc import Iterable, Sequence
from statistics import median

from tests.benchmarks.databases import LABELS
from tests.benchmarks.operations import LABELS as OPERATIONS
from tests.benchmarks.results import Results, goals, speed_goal
from tests.benchmarks.servers import SERVE, Kind
from tests.benchmarks.suites import Suite

_QUIET = 0.05


def report(database: str, suite: Suite, results: Results, kinds: Sequence[Kind]) -> str:
    """Return the tables of a part on one kind of database: figures, ratios, and the goals."""
    kinds = [kind for kind in kinds if database in kind.databases]
    parts = [f"{LABELS[database]}, {suite.label}", "", *_figures(results, kinds)]
    if results.ratios():
        parts += ["", *_ratios(database, results, kinds)]
    if suite.differences:
        parts += ["", *suite.differences]
    if results.storms:
        parts += ["", *_storms(results)]
    parts += ["", *_processes(results, kinds), "", *_goals(database, results)]
    if results.disturbance() > _QUIET:
        share = f"{results.disturbance():.0%} of the server's core"
        parts += ["", f"This machine was not quiet: others had up to {share}. Measure again."]
    return "\n".join(parts)


def _figures(results: Results, kinds: Sequence[Kind]) -> Iterable[str]:
    rows = [["requests/s (p50 / p99 in ms)", *(kind.label for kind in kinds)]]
    for operation, servers in results.rounds.items():
        cells = [
            f"{results.rate(operation, kind.name):,.0f}"
            f" ({results.p50(operation, kind.name):.1f} / {results.p99(operation, kind.name):.1f})"
            if kind.name in servers
            else ""
            for kind in kinds
        ]
        rows.append([OPERATIONS[operation], *cells])
    return _table(rows)


def _ratios(database: str, results: Results, kinds: Sequence[Kind]) -> Iterable[str]:
    others = [kind for kind in kinds if kind.name != "roster"]
    rows = [["Roster's speed, in times that of", *(kind.label for kind in others)]]
    for operation, ratios in results.ratios().items():
        cells = []
        for kind in others:
            if kind.name not in ratios:
                cells.append("")
                continue
            bound = speed_goal(database, operation, kind.name)
            verdict = "" if bound is None else _verdict(ratios[kind.name] >= bound, f"{bound:.2f}")
            cells.append(f"{ratios[kind.name]:.2f}{verdict}")
        rows.append([OPERATIONS[operation], *cells])
    return _table(rows)


def _verdict(is_met: bool, bound: str) -> str:
    return f" (goal {bound}: {'met' if is_met else 'NOT met'})"


def _storms(results: Results) -> Iterable[str]:
    rows = [["Roster's p99 in ms", "alone", "beside clients that log in", "times"]]
    for operation, storm in results.storms.items():
        times = (median(storm.quiet_p99), median(storm.hammered_p99))
        shown = (*(f"{each:.1f}" for each in times), f"{storm.ratio:.1f}")
        rows.append([OPERATIONS[operation], *shown])
    return _table(rows)


def _processes(results: Results, kinds: Sequence[Kind]) -> Iterable[str]:
    rows = [["", "start to first answer, ms", "MiB per worker: PSS", "RSS", "PSS after logins"]]
    for kind in (SERVE, *kinds):
        if kind.name in results.starts:
            used = results.memory.get(kind.name, {})
            later = results.memory_after_logins.get(kind.name, {})
            memory = (used.get("pss"), used.get("rss"), later.get("pss"))
            shown = ["" if size is None else f"{size:.0f}" for size in memory]
            rows.append([kind.label, f"{median(results.starts[kind.name]):,.0f}", *shown])
    return _table(rows)


def _goals(database: str, results: Results) -> Iterable[str]:
    found = goals(database, results)
    if not found:
        return ()
    missed = [goal for goal in found if not goal.is_met]
    lines = [f"{len(found) - len(missed)} of {len(found)} goals are met."]
    for goal in missed:
        bound = f"at {'most' if goal.at_most else 'least'} {goal.bound:,.2f}"
        lines.append(f"  NOT met: {goal.what}: {goal.value:,.2f}, should be {bound}")
    return lines


def _table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join([first.strip().ljust(widths[0]), *others]).rstrip()
