# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains of people's own libvirts are refused by their users' names."""

from __future__ import annotations

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt import refusals, sessions
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.backend import LibvirtBackend
from tests.libvirt.armed import DEADLINES
from tests.libvirt.domain import Guest
from tests.libvirt.fixtures import NEEDS_LIBVIRT
from tests.libvirt.host import Host
from tests.libvirt.played_vf import PF, Edge

pytestmark = [*NEEDS_LIBVIRT]
ANN = "env -u XDG_RUNTIME_DIR HOME=/home/ann setpriv --reuid 1234 --regid 1234 --clear-groups"


@pytest.fixture
def backend(host: Host) -> LibvirtBackend:
    """Of a host with a user ann."""
    for name, line in (("passwd", "ann:x:1234:1234::/home/ann:/bin/sh"), ("group", "ann:x:1234:")):
        host.run(["sh", "-c", f"grep -q ^ann: /etc/{name} || echo {line} >>/etc/{name}"])
    host.run(["sh", "-c", "mkdir -p /home/ann && chown 1234 /home/ann"])
    return LibvirtBackend(host.sysfs, Edge(host), DEADLINES)


def test_a_domain_of_a_session_is_refused_with_its_user(
    host: Host, backend: LibvirtBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a kexec must not end it, as one with KVM."""
    one = Guest.made(host, "desk")
    one.disk.chmod(0o666)
    (host.folder / "tmp/desk.xml").write_text(one.xml(), encoding="utf-8")
    host.run(["sh", "-c", f"{ANN} virsh -c qemu:///session create /tmp/desk.xml"])
    try:
        one.ticks()
        assert [vm for vm in backend.probe({PF.address: PF}, ()) if vm.name == "desk"] == []
        monkeypatch.setattr(sessions, "in_the_way", lambda found, _services: found)
        (vm,) = [vm for vm in backend.probe({PF.address: PF}, ()) if vm.name == "desk"]
        assert (vm.backend, vm.vfs) == ("libvirt", ())
        ((problem, fix),) = refusals.problems(vm)
        assert problem.startswith("it is a domain of the libvirt of user ann (qemu:///session)")
        way = f"virsh -c qemu:///session shutdown {one.uuid}"
        assert fix == f"have it shut down (as ann: {way}), or moved to qemu:///system"
        host.run(["sh", "-c", f"{ANN} {way}"])
        host.wait(lambda: not list(sessions.discover(host.sysfs, "libvirt")), "end of the domain")
    finally:
        host.run(["sh", "-c", f"{ANN} virsh -c qemu:///session destroy desk >/dev/null 2>&1 || true"])


def test_the_systems_domains_are_none_of_a_session(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Guest.made(host, "system")
    one.create()
    monkeypatch.setattr(sessions, "in_the_way", lambda found, _services: found)
    assert list(sessions.discover(host.sysfs, "libvirt")) == []
    host.virsh("destroy", one.uuid)
