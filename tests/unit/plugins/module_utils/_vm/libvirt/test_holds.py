# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever else starts a domain is held off until the last returns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.libvirt_paths import GUESTS_HELD
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.connection import Connection
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.holds import DROP_IN, Holds
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.part import LibvirtPart

ONE, TWO = "c7a5fdbd-edaf-9455-926a-d65c16db1809", "c7a5fdbd-edaf-9455-926a-d65c16db1810"
DOMINFO = "UUID: {}\nState: running\nPersistent: yes\nAutostart: enable\nAutostart Once: enable\nManaged save: no\n"


class Host:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.broken = False

    def __call__(self, argv: Sequence[str]) -> str:
        if "dominfo" in argv:
            return DOMINFO.format(argv[6])
        if self.broken:
            raise ToolError(argv, 1, "no connection")
        self.asked.append(" ".join(argv[4:] if argv[0] == "virsh" else argv))
        return ""


def _holds(sysfs: Sysfs, host: Host, uuid: str, autostart: bool = True, once: bool = False) -> Holds:
    return Holds(sysfs, Connection(host), LibvirtPart(uuid, "w", {}, (), autostart, once))


def test_the_last_domain_gives_libvirt_guests_back(tmp_path: Path) -> None:
    sysfs, host = Sysfs(str(tmp_path)), Host()
    for uuid in (ONE, TWO, TWO):
        _holds(sysfs, host, uuid).take()
    off = [f"autostart --domain {ONE} --disable", f"autostart --domain {ONE} --once --disable"]
    assert host.asked[:3] == ["systemctl daemon-reload", *off]
    assert host.asked.count("systemctl daemon-reload") == 1
    assert f"ConditionDirectoryNotEmpty=!{GUESTS_HELD}" in sysfs.read(DROP_IN)
    host.asked.clear()
    _holds(sysfs, host, ONE).give_back()
    assert host.asked == [f"autostart --domain {ONE}"]
    assert sysfs.exists(DROP_IN)
    _holds(sysfs, host, TWO, autostart=False, once=True).give_back()
    assert host.asked[1:] == [f"autostart --domain {TWO} --once", "systemctl daemon-reload"]
    assert not sysfs.exists(DROP_IN)


def test_what_cannot_be_given_back_stays_held(tmp_path: Path) -> None:
    sysfs, host = Sysfs(str(tmp_path)), Host()
    _holds(sysfs, host, ONE).take()
    host.broken = True
    with pytest.raises(ToolError):
        _holds(sysfs, host, ONE).give_back()
    assert sysfs.names(GUESTS_HELD) == [ONE]
