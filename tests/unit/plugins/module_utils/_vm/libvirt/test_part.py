# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's part of the manifest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.part import LibvirtPart

VF = "0000:04:10.2"
PART: dict[str, Any] = {
    "uuid": "c7a5fdbd-edaf-9455-926a-d65c16db1809", "domain": "w 1", "devices": {VF: "<hostdev type='pci'/>"},
    "images": ["/i"], "autostart": True, "autostart_once": False, "definition": "",
}  # fmt: skip


def test_a_part_is_read_as_it_was_written() -> None:
    part = LibvirtPart.parse(PART, "p")
    assert json.loads(json.dumps(part.to_dict())) == PART
    part.require([VF], "p")
    with pytest.raises(BadInputError, match=r"p\.devices: nothing that attaches VF 0000:04:10\.4 again"):
        part.require([VF, "0000:04:10.4"], "p")


WRONG: list[tuple[str, Any]] = [
    ("uuid", "w"), ("uuid", 5), ("domain", ""), ("domain", "../x"), ("domain", None), ("devices", []),
    ("devices", {VF: 5}), ("devices", {VF: "<disk/>"}), ("devices", {VF: "<!DOCTYPE hostdev><hostdev/>"}),
    ("images", "/i"), ("images", [5]), ("autostart", 1), ("autostart_once", None), ("definition", None),
    ("definition", "<x/>"), ("definition", 0),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_a_wrong_value_is_an_error_with_its_path(key: str, value: object) -> None:
    with pytest.raises(BadInputError, match=rf"^p\.{key}"):
        LibvirtPart.parse({**PART, key: value}, "p")


def test_keys_are_known() -> None:
    with pytest.raises(BadInputError, match=r"^p\.more: unknown key"):
        LibvirtPart.parse({**PART, "more": 1}, "p")
    with pytest.raises(BadInputError, match=r"^p\.images: missing"):
        LibvirtPart.parse({key: value for key, value in PART.items() if key != "images"}, "p")
