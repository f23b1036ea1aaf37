# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All mistakes of a document at once, at a linear cost."""

from __future__ import annotations

import gc
import time
from typing import Any

import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.resolve import resolve
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import PfState

MANY = """
pfs:
- pf: 0000:03:00.0
  hardware_vf: 7
  present_vfs: x
  vfs:
  - ids: 0
    mac: 52:54:00:12:34:56
    vlna: 3
    qos: 9
  - {ids: 0-1,6, driver: /x}
  - {ids: 1, spoofchk: maybe, node_guid: 10:20:30:40:50:11:22:33}
- pf: {driver: ice, indx: 0}
  mtu: 4
- 5
"""
FOUND = [
    "pfs[0].hardware_vf: unknown key; did you mean 'hardware_vfs'?",
    "pfs[0].pf: 180.0 is what YAML makes of 0000:03:00.0 without quotes; write '0000:03:00.0' in quotes",
    "pfs[0].present_vfs: 'x' is not a VF id or a range; write '0-3,200', a list, 'all' or 'none'",
    "pfs[0].vfs[0].vlna: unknown key; did you mean 'vlan'?",
    "pfs[0].vfs[0].mac: 41135085296 is what YAML makes of 52:54:00:12:34:56 without quotes; write '52:54:00:12:34:56' "
    "in quotes",
    "pfs[0].vfs[0].qos: 9 is not a whole number from 0 to 7",
    "pfs[0].vfs[1].ids: YAML has cut a list at its comma; put it in quotes: ids: '0-1,6'",
    "pfs[0].vfs[1].driver: '/x' is not a driver's name; write 'vfio-pci', 'default' or 'unbound'",
    "pfs[0].vfs[2].spoofchk: 'maybe' is not true or false",
    "pfs[0].vfs[2].node_guid: 28950577240953 is what YAML makes of 10:20:30:40:50:11:22:33 without quotes; write "
    "'10:20:30:40:50:11:22:33' in quotes",
    "pfs[1].pf.indx: unknown key; did you mean 'index'?",
    "pfs[1].mtu: 4 is not a whole number from 68 to 65535",
    "pfs[2]: 5 is not a mapping with the keys",
]


def mistakes_of(document: object) -> tuple[str, ...]:
    with pytest.raises(BadInputError) as caught:
        validate(document)
    return caught.value.mistakes


def test_all_mistakes_are_named_at_once() -> None:
    found = mistakes_of(yaml.safe_load(MANY))
    assert [one[: len(words)] for one, words in zip(found, FOUND)] == FOUND


def test_a_message_has_a_line_for_each_but_not_for_thousands() -> None:
    with pytest.raises(BadInputError) as caught:
        validate({"pfs": [{"pf": "a/b"}] * 5000})
    lines = str(caught.value).splitlines()
    assert (lines[0], lines[1][:20], lines[-1], len(lines)) == (
        "5000 mistakes:",
        "- pfs[0].pf: 'a/b' i",
        "- and 4950 more",
        52,
    )


# a mapping as YAML cuts it, and the mistake
CUT = [
    (
        "{ids: 0-1,6,9-12, driver: x}",
        "vfs[0].ids: YAML has cut a list at its comma; put it in quotes: ids: '0-1,6,9-12'",
    ),
    ("{ids: 1,2}", "vfs[0].ids: YAML has cut a list at its comma; put it in quotes: ids: '1,2'"),
    ("{driver: x, 6: , ids: 1}", "vfs[0].6: unknown key; known keys: ids, driver"),
    ("{ids: 1, 6: 3}", "vfs[0].6: unknown key; known keys: ids, driver"),
]


@pytest.mark.parametrize(("entry", "words"), CUT)
@pytest.mark.parametrize("keys", [lambda key: key, str], ids=["yaml", "json"])
def test_lists_cut_by_yaml(entry: str, words: str, keys: Any) -> None:  # noqa: ANN401 - makes keys
    vf = {keys(key): value for key, value in yaml.safe_load(entry).items()}
    (found,) = mistakes_of({"pfs": [{"pf": "a", "vfs": [vf]}]})
    assert words in found


# what YAML reads, what was written
BASE_60 = [
    (41135085296, "52:54:00:12:34:56"), ("41135085296", "52:54:00:12:34:56"),
    (59 + 60 * 58 + 60**5 * 10, "10:00:00:00:58:59"), (60**5 * 98, "98:00:00:00:00:00"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "written"), BASE_60)
def test_addresses_that_yaml_has_read_as_numbers(value: object, written: str) -> None:
    assert yaml.safe_load(written) == int(str(value))
    (found,) = mistakes_of({"pfs": [{"pf": "a", "vfs": [{"ids": 0, "mac": value}]}]})
    assert f"of {written} without quotes" in found


@pytest.mark.parametrize("value", [7, 60**5 * 100, -41135085296, 4e10, True])
def test_numbers_that_are_no_address_are_shown_as_they_are(value: object) -> None:
    (found,) = mistakes_of({"pfs": [{"pf": "a", "vfs": [{"ids": 0, "mac": value}]}]})
    assert "is not a unicast MAC address" in found


@pytest.mark.parametrize("word", ["yes", "On", "TRUE", "1", 1])
def test_flags_and_numbers_of_templates_are_understood(word: object) -> None:
    """Values as Ansible's templates give them, which are texts."""
    vf = {"ids": "0", "vlan": " 5", "trust": word}
    one = validate({"pfs": [{"pf": "a", "mtu": "9000", "drivers_autoprobe": word, "vfs": [vf]}]}).pfs[0]
    assert (one.settings.mtu, one.drivers_autoprobe, one.vfs[0].properties[:2], one.vfs[0].properties.trust) == (
        9000, True, (None, 5), True
    )  # fmt: skip


def test_a_wrong_value_brings_no_second_mistake() -> None:
    (found,) = mistakes_of({"pfs": [{"pf": "a", "vfs": [{"ids": 1, "vlan": 5000, "qos": 3}]}]})
    assert found.startswith("pfs[0].vfs[0].vlan: 5000")


def test_values_in_messages_are_short_and_printable() -> None:
    (found,) = mistakes_of({"pfs": [{"pf": "\x1b[2J" + "x" * 5000}]})
    assert "\x1b" not in found
    assert len(found) < 400


def test_all_mistakes_of_a_document_that_does_not_fit_its_host() -> None:
    states = {"0000:03:00.0": PfState("0000:03:00.0", total=7, enabled=4, netdev="eth0")}
    with pytest.raises(BadInputError) as caught:
        resolve(validate({"pfs": [{"pf": "eth1"}, {"pf": "eth0", "hardware_vfs": 8}, {"pf": "eth2"}]}), states)
    assert [one[:13] for one in caught.value.mistakes] == ["PF 'eth1' is ", "PF eth0: hard", "PF 'eth2' is "]


def _seconds(number: int, keys: dict[str, Any]) -> float:
    vfs = [{"ids": i, **keys} for i in range(number)]
    document = {"pfs": [{"pf": "a", "vfs": vfs}]}
    gc.disable()  # how long that takes depends on what else there is
    try:
        start = time.process_time()
        validate(document)
        return time.process_time() - start
    finally:
        gc.enable()


@pytest.mark.parametrize("keys", [{}, {"vlan": 5, "trust": True}], ids=["bare", "properties"])
def test_the_cost_is_linear_in_the_entries(keys: dict[str, Any]) -> None:
    few = min(_seconds(250, keys) for _try in range(5))
    many = min(_seconds(4000, keys) for _try in range(3))
    assert many < 20 * few
