# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of every pair of current state and specification.

They are steps, or a refusal, on every kernel interface.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, RefusedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.kernel_interface import INTERFACES
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.properties import VfProperties
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.settings import PfSettings
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import PfState
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan.plan import HostPlan
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan.steps import summary
from tests.fake.scenarios.plans import change, current, make

V = "vfio-pci"
PLAIN = VfProperties(
    "00:00:00:00:00:00",
    0,
    0,
    spoofchk=None,
    trust=False,
    link_state="auto",
    min_tx_rate=0,
    max_tx_rate=0,
    vlan_proto="802.1q",
    query_rss=False,
)
GIVEN = VfProperties(mac="02:00:00:00:00:02", trust=True).over(PLAIN)

# enabled, present, their driver; autoprobe is off, VF 2 has a MAC address and trust wherever VFs are enabled
FOUND: dict[str, tuple[int, list[int], str | None]] = {
    "off": (0, [], None),
    "none": (4, [], None),
    "0,2": (4, [0, 2], None),
    "0,2 vfio": (4, [0, 2], V),
    "all": (4, [0, 1, 2, 3], None),
}
WANTED: dict[str, dict[str, Any]] = {
    "as it is": {},
    "0, none": {"hardware_vfs": 0, "present_vfs": "none"},
    "0": {"hardware_vfs": 0},
    "4": {"hardware_vfs": 4},
    "4, none": {"hardware_vfs": 4, "present_vfs": "none"},
    "4, 0,2": {"hardware_vfs": 4, "present_vfs": "0,2"},
    "4, 1-2": {"hardware_vfs": 4, "present_vfs": "1-2"},
    "4, 1-2 !": {"hardware_vfs": 4, "present_vfs": "1-2", "allow_disruptive": True},
    "4, all": {"hardware_vfs": 4, "present_vfs": "all"},
    "6": {"hardware_vfs": 6},
    "6, unmanaged !": {"hardware_vfs": 6, "present_vfs": "unmanaged", "allow_disruptive": True},
    "6 !": {"hardware_vfs": 6, "allow_disruptive": True},
    "6, none": {"hardware_vfs": 6, "present_vfs": "none"},
    "2, none": {"hardware_vfs": 2, "present_vfs": "none"},
    "8": {"hardware_vfs": 8},
    "driver": {"vfs": [{"ids": "all", "driver": V}]},
    "default": {"vfs": [{"ids": "all", "driver": "default"}]},
    "trust": {"vfs": [{"ids": "2", "trust": False}]},
    "autoprobe": {"drivers_autoprobe": True},
    "mtu": {"mtu": 9000},
    "+2": {"ids": 2},
    "+1-2 driver": {"ids": "1-2", "driver": V},
    "-2": {"ids": 2, "state": "absent"},
}
""""!" allows disabling all VFs first; "+" and "-": single VFs."""

# current state, spec; on vf-id, vf-id-narrow, stock
TABLE = """
off      | as it is    | -
off      | 0, none     | -
off      | 0           | -
off      | 4           | 4; +0-3 | 4; +1-3 | 4
off      | 4, none     | 4
off      | 4, 0,2      | 4; +0,2 | 4; +2 | 4
off      | 4, 1-2      | 4; +1-2 | 4; +1-2 | 4
off      | 4, 1-2 !    | 4; +1-2 | 4; +1-2 | 4
off      | 4, all      | 4; +0-3 | 4; +1-3 | 4
off      | 6           | 6; +0-5 | 6; +1-5 | 6
off      | 6, unmanaged ! | 6
off      | 6 !         | 6; +0-5 | 6; +1-5 | 6
off      | 6, none     | 6
off      | 2, none     | 2
off      | 8           | bad: out of range
off      | driver      | -
off      | default     | -
off      | trust       | bad: out of range
off      | autoprobe   | autoprobe
off      | mtu         | mtu
off      | +2          | bad: out of range
off      | +1-2 driver | bad: out of range
off      | -2          | -
none     | as it is    | -
none     | 0, none     | off
none     | 0           | off
none     | 4           | -
none     | 4, none     | -
none     | 4, 0,2      | +0,2 | +0,2 | off; 4; set 2
none     | 4, 1-2      | +1-2 | +1-2 | off; 4; set 2
none     | 4, 1-2 !    | +1-2 | +1-2 | off; 4; set 2
none     | 4, all      | +0-3 | +0-3 | off; 4; set 2
none     | 6           | off; 6; set 2; +0-5 | off; 6; set 2; +1-5 | off; 6; set 2
none     | 6, unmanaged ! | off; 6; set 2
none     | 6 !         | off; 6; set 2; +0-5 | off; 6; set 2; +1-5 | off; 6; set 2
none     | 6, none     | off; 6; set 2
none     | 2, none     | off; 2
none     | 8           | bad: out of range
none     | driver      | -
none     | default     | -
none     | trust       | set 2
none     | autoprobe   | autoprobe
none     | mtu         | mtu
none     | +2          | +2 | +2 | off; 4; set 2
none     | +1-2 driver | +1-2; driver 1-2 | +1-2; driver 1-2 | off; 4; set 2; driver 1-2
none     | -2          | -
0,2      | as it is    | -
0,2      | 0, none     | off
0,2      | 0           | refused: disables all
0,2      | 4           | -
0,2      | 4, none     | -0,2 | - | -
0,2      | 4, 0,2      | -
0,2      | 4, 1-2      | -0; +1 | +1 | refused: disables all
0,2      | 4, 1-2 !    | -0; +1 | +1 | off; 4; set 2
0,2      | 4, all      | +1,3 | +1,3 | refused: disables all
0,2      | 6           | refused: disables all
0,2      | 6, unmanaged ! | off; 6; set 2; +0,2 | off; 6; set 2; +2 | off; 6; set 2
0,2      | 6 !         | off; 6; set 2; +0-5 | off; 6; set 2; +1-5 | off; 6; set 2
0,2      | 6, none     | off; 6; set 2 | refused: disables all | refused: disables all
0,2      | 2, none     | off; 2 | refused: disables all | refused: disables all
0,2      | 8           | bad: out of range
0,2      | driver      | driver 0,2
0,2      | default     | -
0,2      | trust       | set 2
0,2      | autoprobe   | autoprobe
0,2      | mtu         | mtu
0,2      | +2          | -
0,2      | +1-2 driver | +1; driver 1-2 | +1; driver 1-2 | refused: disables all
0,2      | -2          | -2 | - | -
0,2 vfio | as it is    | -
0,2 vfio | 0, none     | off
0,2 vfio | 0           | refused: disables all
0,2 vfio | 4           | -
0,2 vfio | 4, none     | unbind 0,2; -0,2 | - | -
0,2 vfio | 4, 0,2      | -
0,2 vfio | 4, 1-2      | unbind 0; -0; +1 | +1 | refused: disables all
0,2 vfio | 4, 1-2 !    | unbind 0; -0; +1 | +1 | off; 4; set 2; driver 0,2
0,2 vfio | 4, all      | +1,3 | +1,3 | refused: disables all
0,2 vfio | 6           | refused: disables all
0,2 vfio | 6, unmanaged ! | off; 6; set 2; +0,2; driver 0,2 | off; 6; set 2; +2; driver 0,2 | off; 6; set 2; driver 0,2
0,2 vfio | 6 !         | off; 6; set 2; +0-5; driver 0,2 | off; 6; set 2; +1-5; driver 0,2 | off; 6; set 2; driver 0,2
0,2 vfio | 6, none     | off; 6; set 2 | refused: disables all | refused: disables all
0,2 vfio | 2, none     | off; 2 | refused: disables all | refused: disables all
0,2 vfio | 8           | bad: out of range
0,2 vfio | driver      | -
0,2 vfio | default     | unbind 0,2; override 0,2
0,2 vfio | trust       | set 2
0,2 vfio | autoprobe   | autoprobe
0,2 vfio | mtu         | mtu
0,2 vfio | +2          | -
0,2 vfio | +1-2 driver | +1; driver 1 | +1; driver 1 | refused: disables all
0,2 vfio | -2          | unbind 2; -2 | - | -
all      | as it is    | -
all      | 0, none     | off
all      | 0           | refused: disables all
all      | 4           | -
all      | 4, none     | -0-3 | - | -
all      | 4, 0,2      | -1,3 | - | -
all      | 4, 1-2      | -0,3 | - | -
all      | 4, 1-2 !    | -0,3 | off; 4; set 2; +1-2 | -
all      | 4, all      | -
all      | 6           | refused: disables all
all      | 6, unmanaged ! | off; 6; set 2; +0-3 | off; 6; set 2; +1-3 | off; 6; set 2
all      | 6 !         | off; 6; set 2; +0-5 | off; 6; set 2; +1-5 | off; 6; set 2
all      | 6, none     | off; 6; set 2 | refused: disables all | refused: disables all
all      | 2, none     | off; 2 | refused: disables all | refused: disables all
all      | 8           | bad: out of range
all      | driver      | driver 0-3
all      | default     | -
all      | trust       | set 2
all      | autoprobe   | autoprobe
all      | mtu         | mtu
all      | +2          | -
all      | +1-2 driver | driver 1-2
all      | -2          | -2 | - | -
"""

REASONS = {
    "refused: disables all": "requires disabling all VFs first and takes the present VFs",
    "bad: out of range": "is out of range",
}


def state(interface: str, name: str) -> PfState:
    enabled, present, driver = FOUND[name]
    properties = {i: GIVEN if i == 2 else PLAIN for i in range(enabled)}
    return current(interface, enabled, present, driver, properties=properties, settings=PfSettings(mtu=1500))


def cell(plan: HostPlan) -> str:
    """The steps of a plan, like ``off; 6; +0-3; driver 0``.

    These are disable, enable, add, override and bind; reading back is left out.
    """
    signs, names = {"add": "+", "remove": "-"}, {"properties": "set"}
    words = []
    for row in summary(plan.steps):
        what, vfs = row["step"], row.get("vfs", "")
        if what in ("enable", "disable"):
            words.append("off" if what == "disable" else row["after"])
        elif what in signs:
            words.append(signs[what] + vfs)
        elif what != "read back":
            words.append(f"{names.get(what, what)} {vfs}".strip())
    return re.sub(r"override (\S+); bind \1", r"driver \1", "; ".join(words)) or "-"


def outcome(interface: str, have: str, want: str) -> str:
    planned = change if want[0] in "+-" else make
    try:
        return cell(planned(state(interface, have), WANTED[want]))
    except (BadInputError, RefusedError) as error:
        return next((name for name, words in REASONS.items() if words in str(error)), str(error))


def rows() -> dict[tuple[str, str], list[str]]:
    """The rows of the table, by current state and specification.

    What is the same on all interfaces stands there once.
    """
    table = {}
    for line in TABLE.strip().splitlines():
        have, want, *cells = (text.strip() for text in line.split("|"))
        table[have, want] = cells * (len(INTERFACES) if len(cells) == 1 else 1)
    return table


def test_no_pair_is_missing() -> None:
    assert list(rows()) == list(product(FOUND, WANTED))
    assert {len(cells) for cells in rows().values()} == {len(INTERFACES)}


@pytest.mark.parametrize("have", FOUND)
def test_table(have: str) -> None:
    for want, (place, interface) in product(WANTED, enumerate(INTERFACES)):
        assert (interface, want, outcome(interface, have, want)) == (interface, want, rows()[have, want][place])
