# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No VF gets or keeps an MTU above that of its PF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from tests.fake.linux.host import FakeHost

PF = "0000:03:00.0"


def host_with(folder: Path, pf_mtu: int, vf_mtu: int) -> FakeHost:
    """VFs 0 and 1 of 4 are present, with interfaces."""
    host = FakeHost(folder / "root")
    pf = host.igb(PF)
    host.setup(pf, 4, [0, 1], "igbvf")
    pf.mtu = pf_mtu
    for vf in pf.vfs.values():
        vf.mtu = vf_mtu
    host.draw()
    return host


def declare(host: FakeHost, **spec: Any) -> None:  # noqa: ANN401 - values of a document
    converge(host.sysfs, host.run, validate({"pfs": [{"pf": PF, **spec}]}))


OF = "mtu 9000 of VFs {}"
# MTUs of PF and VFs before, what is declared, the refusal
REFUSED: list[tuple[int, int, dict[str, Any], str]] = [
    (1500, 1500, {"vfs": [{"ids": "0-1", "mtu": 9000}]}, OF.format("0-1 is above the PF's 1500")),
    (9000, 1500, {"mtu": 1500, "vfs": [{"ids": 0, "mtu": 9000}]}, OF.format("0 is above the 1500 declared for the PF")),
    (9000, 9000, {"mtu": 1500}, OF.format("0-1 is above the 1500 declared for the PF")),
    (9000, 9000, {"mtu": 1500, "vfs": [{"ids": 0, "mtu": 1500}]}, OF.format("1 is above the 1500 declared for the PF")),
    (1500, 1500, {"present_vfs": "0-2", "vfs": [{"ids": 2, "mtu": 9000, "driver": "igbvf"}]}, OF.format("2 is above")),
]


@pytest.mark.parametrize(("pf_mtu", "vf_mtu", "spec", "words"), REFUSED)
def test_above_the_pf_is_refused(tmp_path: Path, pf_mtu: int, vf_mtu: int, spec: dict[str, Any], words: str) -> None:
    host = host_with(tmp_path, pf_mtu, vf_mtu)
    before = host.picture()
    with pytest.raises(BadInputError, match=words):
        declare(host, **spec)
    assert (host.picture(), host.sysfs.writes) == (before, [])


# as above; MTUs of the PF and of the VFs that are present afterwards
TAKEN: list[tuple[int, int, dict[str, Any], tuple[int, list[int]]]] = [
    (1500, 1500, {"mtu": 9000, "vfs": [{"ids": "0-1", "mtu": 9000}]}, (9000, [9000, 9000])),
    (9000, 1500, {"vfs": [{"ids": 1, "mtu": 9000}]}, (9000, [1500, 9000])),
    (9000, 9000, {"mtu": 1500, "vfs": [{"ids": "0-1", "mtu": 1500}]}, (1500, [1500, 1500])),
    (9000, 9000, {"mtu": 1500, "present_vfs": "none"}, (1500, [])),
    (1500, 9000, {"vfs": [{"ids": 0, "trust": False}], "drivers_autoprobe": False}, (1500, [9000, 9000])),
    (1500, 9000, {"mtu": 1500, "drivers_autoprobe": False}, (1500, [9000, 9000])),
]


@pytest.mark.parametrize(("pf_mtu", "vf_mtu", "spec", "after"), TAKEN)
def test_what_fits_or_is_not_touched(
    tmp_path: Path, pf_mtu: int, vf_mtu: int, spec: dict[str, Any], after: tuple[int, list[int]]
) -> None:
    host = host_with(tmp_path, pf_mtu, vf_mtu)
    declare(host, **spec)
    pf = host.pfs[PF]
    assert (pf.mtu, [vf.mtu for vf in pf.vfs.values()]) == after
