# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alert rules and dashboard, against the metrics that there are."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.last_apply import RESULTS, LastApply
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report import metrics
from tests.fake.tools.exposition import parse

ROOT = Path(__file__).parents[3]
FILES = ROOT / "files"
ALERTS, DASHBOARD = FILES / "prometheus_alerts.yml", FILES / "grafana_dashboard.json"
PF = metrics.PfFacts("0000:03:00.0", counts=dict.fromkeys([*metrics._COUNTS, "drift"], 1), unknown=False)
FACTS = metrics.Facts((PF,), valid=True, last=LastApply(1.0, 2.0, RESULTS[0]))
OTHERS = {"node_textfile_mtime_seconds"}


def exported() -> dict[str, set[str]]:
    """Labels by name of each metric that a host can have."""
    return {
        name: {key for labels in found for key, _value in labels}
        for name, found in parse(metrics.render(FACTS)).items()
    }


def expressions() -> list[str]:
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [rule["expr"] for rule in rules] + [one["expr"] for panel in panels for one in panel["targets"]]


@pytest.mark.parametrize("expression", expressions())
def test_metrics_and_labels_exist(expression: str) -> None:
    found = re.findall(r"\b((?:kvmfleet|node)_\w+)(?:\{([^}]*)\})?", expression)
    assert found != []
    for name, matchers in found:
        assert name in exported() or name in OTHERS, name
        labels = set(re.findall(r"(\w+)\s*(?:=~|!=|=)", matchers)) - {"instance", "file"}
        assert labels <= exported().get(name, set()), (name, labels)


def test_every_metric_is_watched_or_shown() -> None:
    text = " ".join(expressions())
    shown = {name for name in exported() if name in text}
    assert set(exported()) - shown == {
        "kvmfleet_sriov_vfs_hardware_wanted",
        "kvmfleet_sriov_last_apply_timestamp_seconds",
    }


def test_labels_in_texts_are_those_of_the_expression() -> None:
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            (name,) = set(re.findall(r"(?:kvmfleet_sriov|node_textfile)_\w+", rule["expr"].split("<")[0]))
            known = {"instance"} | exported().get(name, set())
            assert set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) <= known, rule["alert"]
            assert re.match(r"\d+m$", rule["for"])


@pytest.mark.slow
def test_promtool_takes_the_rules() -> None:
    """It is unpacked from the distribution's package once."""
    found = subprocess.run([ROOT / "tools/promtool"], capture_output=True, text=True)
    if found.returncode != 0:
        pytest.skip(f"no promtool here: {found.stderr}")
    done = subprocess.run([found.stdout.strip(), "check", "rules", str(ALERTS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_have_their_places() -> None:
    places = [panel["gridPos"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    taken = [
        (x, y) for place in places for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]  # fmt: skip
    assert len(taken) == len(set(taken))
    assert max(x for x, _y in taken) < 24
