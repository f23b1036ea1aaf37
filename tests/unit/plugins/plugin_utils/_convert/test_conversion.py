# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings grouped into a document; contradictions and errors, with paths."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._convert import conversion
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._convert.conversion import (
    Item,
    Notice,
    Setting,
    assemble,
    selector,
)


def vf(key: str, value: object, *ids: int, where: str = "there") -> Setting:
    return Setting("eth0", key, value, where, frozenset(ids))


def test_settings_become_a_document() -> None:
    items: list[Item] = [
        Setting("eth0", "hardware_vfs", 4, "a"),
        Notice("b", "is not carried over"),
        Setting("0000:04:00.0", "hardware_vfs", 2, "c"),
        vf("mac", "02:00:00:00:00:AA", 3),
        vf("trust", True, 0, 1, 2, 3),
        vf("trust", True, 3),
    ]
    assert assemble(items) == {
        "document": {
            "pfs": [
                {
                    "pf": "eth0",
                    "hardware_vfs": 4,
                    "vfs": [{"ids": "all", "trust": True}, {"ids": "3", "mac": "02:00:00:00:00:aa"}],
                },
                {"pf": "0000:04:00.0", "hardware_vfs": 2},
            ]
        },
        "notices": ["b: is not carried over"],
    }


def test_no_items() -> None:
    assert assemble([]) == {"document": {"pfs": []}, "notices": []}


def test_the_same_notice_is_given_once() -> None:
    assert assemble([Notice("a", "b"), Notice("a", "c"), Notice("a", "b")])["notices"] == ["a: b", "a: c"]


# items, the beginning of the message
WRONG: list[tuple[list[Item], str]] = [
    (
        [Setting("eth0", "hardware_vfs", 4, "one"), Setting("eth0", "hardware_vfs", 5, "two")],
        "two: 5 contradicts one: 4; keep one of them",
    ),
    (
        [vf("vlan", 4, 0, 1, where="one"), vf("vlan", 5, 1, 2, where="two")],
        "two: 5 contradicts one: 4; keep one of them",
    ),
    ([vf("vlan", 4095, 0, where="a.vlan-id")], "a.vlan-id: 4095 is not a whole number from 0 to 4094"),
    ([vf("qos", 3, 0, where="a.qos")], "a.qos: 3 needs a vlan from 1 to 4094 beside it"),
    (
        [vf("mac", "01:00:00:00:00:01", 0, where="a.mac")],
        "a.mac: '01:00:00:00:00:01' is not a unicast MAC address",
    ),
    (
        [Setting("eth0", "hardware_vfs", -1, "a.n")],
        "a.n: -1 is not a number from 0 on; write a number, 'max' or {at_most: NUMBER}",
    ),
    (
        [Setting("eth0", "hardware_vfs", 4, "a.n"), vf("trust", True, 3, 4, where="a.vf")],
        "a.vf: VF 4 is not among the 4 VFs of a.n",
    ),
    (
        [vf("min_tx_rate", 9, 0, where="a.min"), vf("max_tx_rate", 8, 0, where="a.max")],
        "a.min: 9 is above max_tx_rate 8",
    ),
]


@pytest.mark.parametrize(("items", "message"), WRONG)
def test_wrong_and_contradictory(items: list[Item], message: str) -> None:
    with pytest.raises(BadInputError) as caught:
        assemble(items)
    assert str(caught.value).startswith(message)


# reader, value, what is read or None when it is refused
VALUES: list[tuple[Any, object, object]] = [
    (conversion.whole, 0, 0),
    (conversion.whole, "64", 64),
    (conversion.whole, True, None),
    (conversion.whole, -1, None),
    (conversion.whole, "٣", None),
    (conversion.whole, 1.0, None),
    (conversion.flag, "false", False),
    (conversion.flag, "Yes", True),
    (conversion.flag, True, True),
    (conversion.flag, 1, None),
    (conversion.flag, "maybe", None),
    (conversion.mapping, None, {}),
    (conversion.mapping, [], None),
    (conversion.listing, None, []),
    (conversion.listing, "ab", None),
    (conversion.vf_id, "3", frozenset({3})),
    (conversion.vf_id, 65535, None),
    (conversion.mac, "02:00:00:00:00:0A", "02:00:00:00:00:0A"),
    (conversion.mac, yaml.safe_load("52:54:00:12:34:56"), "52:54:00:12:34:56"),
    (conversion.mac, yaml.safe_load("98:03:59:00:00:01"), "98:03:59:00:00:01"),
    (conversion.mac, True, None),
    (conversion.pci_address, "0000:d8:00.1", "0000:d8:00.1"),
    (conversion.pci_address, "10000:01:1f.7", "10000:01:1f.7"),
    (conversion.pci_address, yaml.safe_load("0000:03:00.1"), "0000:03:00.1"),
    (conversion.pci_address, yaml.safe_load("0001:59:10.7"), "0001:59:10.7"),
    (conversion.pci_address, "0000:d8.00.0", None),
    (conversion.pci_address, 0.9, None),
    (conversion.pci_address, None, None),
]


@pytest.mark.parametrize(("reader", "value", "expected"), VALUES)
def test_values_as_yaml_has_them(reader: Any, value: object, expected: object) -> None:  # noqa: ANN401 - several readers
    if expected is None:
        with pytest.raises(BadInputError, match=r"^a\.b: "):
            reader(value, "a.b")
    else:
        assert reader(value, "a.b") == expected


NO_NAMES = ["a b", "a\nb", "a/b", "a:b", "eth0\x00", "a\x1bb", "x" * 128, "a\u2028b", "\x85"]


@pytest.mark.parametrize("name", NO_NAMES)
@pytest.mark.parametrize("by_selector", [False, True])
def test_names_that_no_interface_has_are_wrong(name: str, by_selector: bool) -> None:
    pf = selector(netdev=name) if by_selector else name
    with pytest.raises(BadInputError, match=r"^somewhere: .* is neither the name of an interface nor a PCI address$"):
        assemble([Setting(pf, "hardware_vfs", 1, "somewhere")])
