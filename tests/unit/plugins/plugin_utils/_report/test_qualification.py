# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of adapters: what works, and nothing that names a host."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report.qualification import TIMED, qualification

PF: dict[str, Any] = {
    "pf": "0000:3b:00.0", "netdev": "ens3f0", "altnames": ["uplink-a"], "mac": "52:54:00:12:34:56", "driver": "igb",
    "firmware_version": "1.2", "total_vfs": 7, "vendor": "8086",
}  # fmt: skip
KERNEL = {"release": "6.12.0", "pci": []}


def case(name: str, **result: Any) -> dict[str, Any]:  # noqa: ANN401 - results of any type
    return {"item": {"case": name, "spec": {}}, **result}


def test_what_works_and_what_it_takes() -> None:
    steps = [{"step": "enable", "before": "0", "after": "7"}, {"step": "add", "after": "all"}]
    results = [
        case("one VF", changed=True, seconds=0.1, notes=[]),
        case("trust", kind="BadInputError", msg="PF 0000:3b:00.0: trust of VFs 0 cannot be set"),
        case(TIMED, changed=True, seconds=1.4, steps=steps, notes=["a note"]),
    ]
    found = qualification(results, PF, KERNEL)
    assert found["seconds_per_vf"] == 0.2
    assert (found["kernel"], found["adapter"]["driver"], found["adapter"]["total_vfs"]) == ("6.12.0", "igb", 7)
    assert [(one["case"], one["works"]) for one in found["cases"]] == [
        ("one VF", True),
        ("trust", False),
        (TIMED, True),
    ]
    assert found["cases"][1]["said"] == "PF PCI-ADDRESS: trust of VFs 0 cannot be set"


def test_nothing_names_the_host() -> None:
    said = "PF 0000:3b:00.0 (ens3f0, uplink-a) of hv1.example.org at 10.0.0.1: 52:54:00:12:34:56 \x1b[2J, ens3f0v1"
    text = json.dumps(qualification([case("x", kind="E", msg=said)], PF, KERNEL, ["hv1.example.org"]))
    for name in ("3b:00", "ens3f0,", "uplink-a", "hv1", "10.0.0", "52:54", "\\u001b"):
        assert name not in text


# results of a host that answers oddly
ODD: list[dict[str, Any]] = [
    case(TIMED, seconds="long", steps=[{"step": "enable", "after": "9" * 5000}]),
    case(TIMED, seconds=None, steps=[{"step": "enable", "after": None}]),
    case(TIMED, unreachable=True),
]


@pytest.mark.parametrize("result", ODD)
def test_odd_answers_are_no_figures(result: dict[str, Any]) -> None:
    assert qualification([result], PF, KERNEL)["seconds_per_vf"] is None
