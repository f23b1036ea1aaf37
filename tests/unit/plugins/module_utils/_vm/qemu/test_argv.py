# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines of QEMU: what is read, and what is changed."""

from __future__ import annotations

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import argv as _qemu_argv

BASE = ["qemu-system-x86_64", "-name", "guest=web1,debug-threads=on", "-M", "q35"]
MACHINES = {"q35": "pc-q35-10.0", "pc": "pc-i440fx-10.0"}


@pytest.mark.parametrize(
    ("text", "first", "expected"),
    [
        ("web1", "guest", {"guest": "web1"}),
        ("guest=web1,debug-threads=on", "guest", {"guest": "web1", "debug-threads": "on"}),
        ("vfio-pci,host=00:1.0,id=x", "driver", {"driver": "vfio-pci", "host": "00:1.0", "id": "x"}),
        ("a=b,,c,d=e", "", {"a": "b,c", "d": "e"}),
        ("q35,accel=kvm,nodefaults", "type", {"type": "q35", "accel": "kvm", "nodefaults": "on"}),
        ('{"driver": "vfio-pci", "host": "0000:04:10.0", "bootindex": 1}', "driver",
         {"driver": "vfio-pci", "host": "0000:04:10.0", "bootindex": "1"}),
    ],
)  # fmt: skip
def test_parse(text: str, first: str, expected: dict[str, str]) -> None:
    assert _qemu_argv.parse(text, first) == expected


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (BASE, "web1"),
        (["qemu", "--name", "web2"], "web2"),
        (["qemu", "-name", "a", "-name", "b"], "b"),
        (["qemu", "-m", "64"], None),
        (["qemu", "-S", "-name", "c"], "c"),
    ],
)
def test_name(argv: list[str], name: str | None) -> None:
    assert _qemu_argv.guest_name(argv) == name


@pytest.mark.parametrize(
    ("argv", "sockets"),
    [
        (["q", "-qmp", "unix:/run/a.qmp,server=on,wait=off"], ["/run/a.qmp"]),
        (["q", "-qmp", "tcp:localhost:4444"], []),
        (["q", "-chardev", "socket,id=m,path=/run/b,server=on", "-mon", "chardev=m,mode=control"], ["/run/b"]),
        (["q", "-chardev", "socket,id=m,path=/run/b,server=on", "-mon", "m,mode=readline"], []),
        (["q", "-chardev", "socket,id=m,fd=3", "-mon", "chardev=m,mode=control"], []),
    ],
)
def test_qmp_sockets(argv: list[str], sockets: list[str]) -> None:
    assert _qemu_argv.qmp_sockets(argv) == sockets


@pytest.mark.parametrize(
    ("item", "found"),
    [
        ("tap,id=n,fd=24", True),
        ("tap,id=n,vhost=on,vhostfd=30", True),
        ("tap,id=n,fds=1:2", True),
        ("socket,id=m,fd=3,server=on", True),
        ("file=/dev/fdset/1,if=none", True),
        ("fd:7", True),
        ("file=/srv/fd=3.img", False),
        ("socket,id=m,path=/run/fd", False),
    ],
)
def test_inherited(item: str, found: bool) -> None:
    assert bool(_qemu_argv.inherited(["q", "-x", item])) == found


def test_inherited_by_add_fd() -> None:
    assert _qemu_argv.inherited(["q", "-add-fd", "fd=3,set=1"]) == ["-add-fd", "fd=3,set=1"]


@pytest.mark.parametrize(
    ("more", "lost"),
    [
        (["-snapshot"], True),
        (["-drive", "file=a,snapshot=on"], True),
        (["-drive", "file=a,snapshot=off"], False),
        ([], False),
    ],
)
def test_throws_writes_away(more: list[str], lost: bool) -> None:
    assert _qemu_argv.throws_writes_away([*BASE, *more]) == lost


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (BASE, ["qemu-system-x86_64", "-name", "guest=web1,debug-threads=on", "-M", "pc-q35-10.0"]),
        (["q", "-machine", "type=q35,accel=kvm"], ["q", "-machine", "type=pc-q35-10.0,accel=kvm"]),
        (["q", "-machine", "accel=kvm,type=pc"], ["q", "-machine", "accel=kvm,type=pc-i440fx-10.0"]),
        (["q", "-M", "q35,dumpdtb=a,,type=b"], ["q", "-M", "pc-q35-10.0,dumpdtb=a,,type=b"]),
        (
            ["q", "-machine", '{"type": "q35", "smm": "off"}'],
            ["q", "-machine", '{"type": "pc-q35-10.0", "smm": "off"}'],
        ),
        (["q", "-machine", '{"smm": "off"}'], ["q", "-machine", '{"smm": "off"}']),
        (["q", "-M", "pc-q35-9.2,smm=off"], ["q", "-M", "pc-q35-9.2,smm=off"]),
        (["q", "-S", "-daemonize", "-m", "64"], ["q", "-m", "64"]),
        (["q", "-incoming", "tcp:0:4444", "-m", "64"], ["q", "-m", "64"]),
        (["q", "-device", "vfio-pci,host=04:10.0", "-device", "virtio-rng-pci"], ["q", "-device", "virtio-rng-pci"]),
        (["q", "-device", '{"driver":"vfio-pci","host":"04:10.0"}', "-nodefaults"], ["q", "-nodefaults"]),
        (["q", "--device", "vfio-pci-nohotplug,host=04:10.0", "-smp", "1"], ["q", "-smp", "1"]),
    ],
)
def test_for_restore(argv: list[str], expected: list[str]) -> None:
    once = _qemu_argv.for_restore(argv, MACHINES)
    assert once == [*expected, "-S", "-incoming", "defer"]
    assert _qemu_argv.for_restore(once, MACHINES) == once


def test_for_cold_start_undoes_what_an_update_added() -> None:
    argv = [*BASE, "-device", "vfio-pci,host=04:10.0"]
    assert _qemu_argv.for_cold_start([*argv, "-S", "-incoming", "defer"]) == argv


@pytest.mark.parametrize(
    ("item", "folders"),
    [
        ("unix:/run/kvmfleet-vm/a.qmp,server=on", ["/run/kvmfleet-vm"]),
        ("socket,id=x,path=/var/run/q/s.sock,server=on", ["/var/run/q"]),
        ("/run/q/a.pid", ["/run/q"]),
        ("file=/srv/run/a.img", []),
    ],
)
def test_run_folders(item: str, folders: list[str]) -> None:
    assert _qemu_argv.run_folders(["q", "-x", item]) == folders


@pytest.mark.parametrize(
    ("value", "bridges", "taps"),
    [
        ("bridge,id=n", ["br0"], []),
        ("bridge,id=n,br=lan", ["lan"], []),
        ("tap,id=n,br=lan,helper=/usr/lib/qemu/qemu-bridge-helper", ["lan"], []),
        ("tap,id=n,ifname=vm1,script=no,downscript=no", [], ["vm1"]),
        ("user,id=n", [], []),
    ],
)
def test_networks(value: str, bridges: list[str], taps: list[str]) -> None:
    assert _qemu_argv.bridges(["q", "-netdev", value]) == bridges
    assert _qemu_argv.orphan_taps(["q", "-netdev", value]) == taps
