# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with a real libvirtd is one of its own."""

from __future__ import annotations

import os
from pathlib import Path

from tests.libvirt.domain import Guest
from tests.libvirt.fixtures import NEEDS_LIBVIRT
from tests.libvirt.host import Host

pytestmark = [*NEEDS_LIBVIRT]


def _outside(host: Host) -> list[int]:
    """Processes of this machine whose root is the host's."""
    found = []
    for path in Path("/proc").glob("[0-9]*/ns/pid"):
        try:
            if path.readlink() == Path(f"/proc/{host.pid}/ns/pid").readlink():
                found.append(int(path.parts[2]))
        except OSError:
            continue
    return found


def test_libvirtd_is_the_hosts_own(host: Host) -> None:
    assert "Running hypervisor: QEMU" in host.virsh("version")
    for kind in ("mnt", "pid", "net", "ipc", "uts"):
        assert os.readlink(f"/proc/{host.pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")


def test_a_guest_runs_on_while_libvirtd_is_killed(host: Host) -> None:
    guest = Guest.made(host, "survivor")
    guest.define()
    guest.start()
    guest.ticks()
    host.restart("KILL")
    guest.ticks()
    assert guest.state() == "running"
    assert guest.sector().boots == 1
    assert guest.sector().foreign == 0
    host.virsh("destroy", guest.uuid)
    assert guest.state() == "shut off"


def test_a_host_ends_with_all_its_processes(tmp_path: Path, host: Host) -> None:
    other = Host(tmp_path / "host")
    try:
        other.start()
        guest = Guest.made(other, "left")
        guest.define()
        guest.start()
        before = _outside(other)
    finally:
        other.end()
    assert host.virsh("version")
    assert len(before) >= 3
    host.wait(lambda: not any(Path(f"/proc/{pid}").exists() for pid in before), f"end of processes {before}")
