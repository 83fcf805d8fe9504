"""Alerts and dashboard: what they ask for is measured, and each alert has a paragraph."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from roster.contract import loader
from tests.serving import Server

ROOT = Path(__file__).parents[2]
OPS = ROOT / "ops"
RULES = OPS / "prometheus" / "alerts.yaml"
DASHBOARD = OPS / "grafana" / "roster.json"
# What Prometheus adds to the samples of a histogram.
OF_HISTOGRAMS = re.compile(r"_(bucket|count|sum)$")


def alerts() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    return [*asked, *(alert["expr"] for alert in alerts())]


def labels(text: str) -> dict[str, set[str]]:
    """Return the labels of each metric in Prometheus' text format."""
    found: dict[str, set[str]] = {}
    for name, inside in re.findall(r"^(roster_\w+)(?:\{(.*)\})? ", text, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', inside))
    for name in re.findall(r"^# TYPE (roster_\w+) ", text, re.MULTILINE):
        found.setdefault(name, set())
    return found


@pytest.mark.skipif(shutil.which("promtool") is None, reason="There is no promtool here.")
@pytest.mark.parametrize(
    "arguments", [("check", "rules", str(RULES)), ("test", "rules", "alerts.test.yaml")]
)
def test_the_alerts_are_as_prometheus_takes_them_and_fire_when_they_should(
    arguments: tuple[str, ...],
) -> None:
    done = subprocess.run(
        ["promtool", *arguments], cwd=RULES.parent, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tried_out_in_both_ways() -> None:
    quiet, trouble = yaml.safe_load((RULES.parent / "alerts.test.yaml").read_text())["tests"]

    for scene, fires in ((quiet, False), (trouble, True)):
        tried = {each["alertname"]: "exp_alerts" in each for each in scene["alert_rule_test"]}
        assert tried == {alert["alert"]: fires for alert in alerts()}


def test_each_alert_has_a_paragraph_in_the_runbook() -> None:
    text = (ROOT / "docs" / "runbook.md").read_text()

    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [each["alert"] for each in alerts()]
    for each in alerts():
        place = f"docs/runbook.md#{each['alert'].lower()}"
        assert each["annotations"]["runbook"] == place


def test_what_is_asked_for_is_measured(server: Server) -> None:
    measured = labels(server.client.get("/metrics").text)

    for expression in expressions():
        asked = set(re.findall(r"\broster_\w+", expression))
        assert asked or "up{" in expression
        assert {OF_HISTOGRAMS.sub("", each) for each in asked} <= {
            OF_HISTOGRAMS.sub("", each) for each in measured
        }, expression


def test_operations_that_alerts_leave_out_exist() -> None:
    known = {each.id for each in loader.load("production").operations}

    for alert in alerts():
        for named in re.findall(r'operation!?[=~]+"([^"]+)"', alert["expr"]):
            assert set(named.split("|")) <= known


def test_each_figure_is_shown(server: Server) -> None:
    names = re.findall(r"^# TYPE (roster_\w+) ", server.client.get("/metrics").text, re.MULTILINE)
    asked = [name for each in expressions() for name in re.findall(r"roster_\w+", each)]

    measured = {name for name in names if not name.endswith("_created")}
    assert measured == {OF_HISTOGRAMS.sub("", name) for name in asked}
