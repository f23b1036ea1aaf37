# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's units, rendered with its own defaults."""

from __future__ import annotations

import configparser
from pathlib import Path

import jinja2
import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.module_utils import _cli

ROLE = Path(__file__).parents[3] / "roles/sriov"
FOLDER = "/var/lib/prometheus/node-exporter"


def render(name: str, **values: object) -> configparser.ConfigParser:
    variables = {"ansible_managed": "managed", **load("defaults"), **load("vars"), **values}
    variables["sriov_metrics_file"] = str(variables["sriov_metrics_file"]).replace(
        "{{ sriov_metrics_folder }}", str(variables["sriov_metrics_folder"])
    )
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]  # as the documentation of configparser tells to
    unit.read_string(environment.from_string((ROLE / "templates" / f"{name}.j2").read_text()).render(variables))
    return unit


def load(part: str) -> dict[str, object]:
    return dict(yaml.safe_load((ROLE / part / "main.yml").read_text()))


def words(unit: configparser.ConfigParser) -> list[str]:
    return unit["Service"]["ExecStart"].split()


@pytest.mark.parametrize(("folder", "more"), [("", []), (FOLDER, ["--metrics", f"{FOLDER}/kvmfleet_sriov.prom"])])
def test_apply(folder: str, more: list[str]) -> None:
    unit = render("kvmfleet-sriov-apply.service", sriov_metrics_folder=folder)
    program, *arguments = words(unit)
    assert program == "/usr/local/sbin/sriovctl"
    assert arguments == ["apply", "--boot", "--wait", "60", *more]
    assert _cli._parser().parse_args(arguments).boot
    assert unit["Service"]["KillMode"] == "process"
    assert "libvirtd.service" in unit["Unit"]["Before"].split()


def test_metrics() -> None:
    arguments = words(render("kvmfleet-sriov-metrics.service", sriov_metrics_folder=FOLDER))[1:]
    assert _cli._parser().parse_args(arguments).output == f"{FOLDER}/kvmfleet_sriov.prom"
    timer = render("kvmfleet-sriov-metrics.timer", sriov_metrics_interval="5min")
    assert timer["Timer"]["OnUnitActiveSec"] == "5min"


def test_every_unit_has_a_template() -> None:
    units = load("vars")["sriov_metrics_units"]
    assert isinstance(units, list)
    assert all((ROLE / "templates" / f"{unit}.j2").exists() for unit in units)
