# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role sriov's units, rendered with its own defaults."""

from __future__ import annotations

from pathlib import Path

import jinja2
import yaml

ROLE = Path(__file__).parents[3] / "roles/sriov"
Unit = dict[str, list[str]]
"""Words by key, of all sections.

systemd lets a key be repeated; most are lists then.
"""


def render(name: str, **values: object) -> str:
    """Render a template of the role as Ansible does."""
    variables = {"ansible_managed": "managed", **load("defaults"), **load("vars"), **values}
    variables["sriov_metrics_file"] = str(variables["sriov_metrics_file"]).replace(
        "{{ sriov_metrics_folder }}", str(variables["sriov_metrics_folder"])
    )
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True)
    return environment.from_string((ROLE / "templates" / f"{name}.j2").read_text()).render(variables)


def unit(name: str, **values: object) -> Unit:
    return parse(render(name, **values))


def parse(text: str) -> Unit:
    found: Unit = {}
    for line in text.splitlines():
        if line and line[0] not in "#[":
            key, _equals, value = line.partition("=")
            found.setdefault(key, []).extend(value.split())
    return found


def load(part: str) -> dict[str, object]:
    """The role's ``defaults`` or ``vars``."""
    return dict(yaml.safe_load((ROLE / part / "main.yml").read_text()))


def names(variable: str) -> list[str]:
    """A list among the role's vars."""
    found = load("vars")[variable]
    assert isinstance(found, list)
    return found
