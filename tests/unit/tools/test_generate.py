# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated parts follow the property table.

The JSON Schema agrees with the validation of host documents.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from tools import generate

SCHEMA = json.loads(generate.SCHEMA.read_text(encoding="utf-8"))
PF = "0000:03:00.0"


def test_nothing_is_stale() -> None:
    assert generate.stale() == []


def test_a_changed_part_is_stale_and_written_again(tmp_path: Path) -> None:
    for path, text in generate.outputs().items():
        copy = tmp_path / path.relative_to(generate.ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text, encoding="utf-8")
    assert generate.stale(tmp_path) == []
    changed = tmp_path / "plugins/module_utils/_model/settings.py"
    changed.write_text(changed.read_text().replace("    mtu: int | None = None\n", ""))
    assert generate.stale(tmp_path) == [changed]
    assert "    mtu: int | None = None\n" in generate.outputs(tmp_path)[changed]


def test_every_region_is_in_some_file() -> None:
    text = "".join((generate.ROOT / name).read_text(encoding="utf-8") for name in generate.FILES)
    assert {found["name"] for found in generate.REGION.finditer(text)} == set(generate.REGIONS)


def accepts(document: object) -> bool:
    try:
        jsonschema.validate(document, SCHEMA)
    except jsonschema.ValidationError:
        return False
    return True


def vf(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - values of several types
    return {"pfs": [{"pf": PF, "vfs": [{"ids": 0, **values}]}]}


GOOD: list[dict[str, Any]] = [
    {"pfs": [{"pf": {"driver": "ice", "not": [{"netdev": "eth0"}]}, "hardware_vfs": {"at_most": 16}}]},
    {"pfs": [{"pf": {"driver": "ice", "not": {"netdev": "eth0"}, "all": True}}]},
    vf(vlan="100+id"),
    {"pfs": []},
    {"schema": 1, "pfs": [{"pf": "eth0", "hardware_vfs": "max", "present_vfs": "0-99,200"}]},
    {"pfs": [{"pf": {"vendor": "8086", "all": True}, "hardware_vfs": 8, "present_vfs": [0, "2-4"], "mtu": 9000}]},
    {"pfs": [{"pf": PF, "eswitch_mode": "switchdev", "drivers_autoprobe": False, "allow_disruptive": True}]},
    vf(driver="vfio-pci", mac="02:00:00:00:00:06", vlan=100, qos=3, vlan_proto="802.1ad"),
    vf(mac="02:00:00:00:10:00+id", spoofchk=True, trust=False, link_state="enable", max_tx_rate=100, min_tx_rate=10),
    vf(mac="hash", query_rss=True, msix_vectors=16, mtu=1500),
    vf(node_guid="02:00:00:00:00:00:00:01", port_guid="02:00:00:00:00:00:00:01+id"),
]


@pytest.mark.parametrize("document", GOOD)
def test_both_accept(document: dict[str, Any]) -> None:
    validate(document)
    assert accepts(document)


BAD: list[object] = [
    {"pfs": [{"pf": PF, "hardware_vfs": {"most": 1}}]}, {"pfs": [{"pf": {"not": {"all": True}}}]}, vf(mtu="1+id"),
    [], {}, {"pfs": {}}, {"pfs": [], "more": 1}, {"schema": 2, "pfs": []}, {"schema": "1", "pfs": []},
    {"schema": True, "pfs": []}, {"pfs": [{}]},
    {"pfs": [{"pf": ""}]}, {"pfs": [{"pf": {}}]}, {"pfs": [{"pf": {"vendr": "8086"}}]},
    {"pfs": [{"pf": PF, "hardware_vfs": "many"}]}, {"pfs": [{"pf": PF, "hardware_vfs": -1}]},
    {"pfs": [{"pf": PF, "drivers_autoprobe": "never"}]}, {"pfs": [{"pf": PF, "eswitch_mode": "none"}]},
    {"pfs": [{"pf": PF, "mtu": 67}]}, {"pfs": [{"pf": PF, "vfs": {}}]}, {"pfs": [{"pf": PF, "vfs": [{"vlan": 1}]}]},
    vf(vlan=4095), vf(vlan="1e2"), vf(vlan=True), vf(qos=8), vf(vlan_proto="802.1x"), vf(spoofchk="up"), vf(trust=2),
    vf(link_state="up"), vf(max_tx_rate=-1), vf(mac="03:00:00:00:00:01"), vf(mac="02:00:00:00:00"), vf(mac=7),
    vf(node_guid="02:00:00:00:00:01"), vf(node_guid="hash"), vf(msix_vectors=0), vf(msix_vectors=2049), vf(mtu=65536),
    vf(driver=""), vf(color="red"),
]  # fmt: skip


@pytest.mark.parametrize("document", BAD, ids=str)
def test_both_refuse(document: object) -> None:
    with pytest.raises(BadInputError):
        validate(document)
    assert not accepts(document)


TEXTS = [vf(vlan="100"), vf(spoofchk="on"), vf(trust=1), {"pfs": [{"pf": PF, "drivers_autoprobe": "no"}]}]
"""Values as Ansible's templates give them.

The schema is for editors, and asks for the type itself.
"""


@pytest.mark.parametrize("document", TEXTS, ids=str)
def test_texts_of_templates_are_taken(document: object) -> None:
    validate(document)
    assert not accepts(document)
