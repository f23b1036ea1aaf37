# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running machine shows: monitors of QEMU, and files in /proc."""

from __future__ import annotations

import functools
import json
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._holders import block_devices, namespaces, processes
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.process import refuse
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import candidates
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import discovery, migration
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.backend import QemuBackend
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.qmp import Qmp
from tests.fake.linux.host import FakeHost

ARGV = ("qemu-system-x86_64", "-name", "guest=web1", "-device", "vfio-pci,host=0000:04:10.0,id=vf0,bus=rp0")
MESSAGES: list[dict[str, Any]] = [
    {"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": ""}, "capabilities": []}},
    {"return": {}},
    {"event": "RESUME", "timestamp": {"seconds": 1, "microseconds": 2}},
    {"return": {"status": "running", "running": True}},
    {"return": {"status": "failed", "error-desc": "no"}},
    {"error": {"class": "GenericError", "desc": "no"}},
]
ANSWERS = {
    "query-status": {"status": "running", "running": True},
    "query-machines": [{"name": "pc-q35-10.0", "alias": "q35"}, {"name": "none"}],
    "query-memory-size-summary": {"base-memory": 134217728, "plugged-memory": 0},
    "query-cpus-fast": [{"cpu-index": 0, "thread-id": 4712}],
    "query-iothreads": [{"id": "io0", "thread-id": 4713}],
    "query-migrate": {"status": "failed", "error-desc": "no", "blocked-reasons": ["vfio"]},
    "query-migrate-capabilities": [{"capability": "mapped-ram", "state": True}],
    "query-block": [{"device": "drive0", "inserted": {"node-name": "n0", "file": "/a", "drv": "qcow2", "image": {
        "filename": "/a", "format": "qcow2", "backing-filename": "/b", "backing-image": {"filename": "/b"}}}}],
    "query-named-block-nodes": [{"node-name": "n0", "file": "/a", "drv": "qcow2", "image": {"filename": "/a"}}],
    "query-block-jobs": [],
    "qom-list": [{"name": "vf0", "type": "child<vfio-pci>"}, {"name": "type", "type": "string"}],
    "qom-get": "0000:04:10.0",
    "device-list-properties": [{"name": "host", "type": "str"}, {"name": "rombar", "type": "OnOffAuto"}],
}  # fmt: skip
STAT = "4711 (qemu-system-x86) S 1 4711 4711 0 -1 4194560 9 0 0 0 1 2 0 0 20 0 3 0 12345 99 88\n"
MOUNTS = (
    "25 1 0:6 / /dev rw shared:2 - devtmpfs udev rw\n50 1 0:4 net:[70] /run/netns/blue rw shared:2 - nsfs nsfs rw\n"
    "31 1 259:3 / /home/a\\040b rw - ext4 /dev/nvme1n1 rw\n"
)
FILES = {
    "stat": STAT, "comm": "qemu-system-x86\n", "cmdline": "\0".join([*ARGV, ""]), "mountinfo": MOUNTS,
    "status": "Name:\tqemu\nUid:\t0\t0\t0\t0\n", "cgroup": "0::/machine.slice/web1.service\n",
    "fdinfo/31": "pos:\t0\nmnt_id:\t25\n",
}  # fmt: skip


def joined(messages: Any) -> str:  # noqa: ANN401 - any value
    """Messages as a monitor sends them, one a line."""
    return "".join(f"{_json(one)}\n" for one in (messages if isinstance(messages, list) else [messages]))


def _json(value: Any) -> str:  # noqa: ANN401 - any value
    try:
        return json.dumps(value)
    except ValueError:  # more digits than Python writes
        return "9" * 5000


DOMAIN = (
    "<domain type='qemu' id='1'><name>w 1</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid><memory unit='KiB'>"
    "1024</memory><os><nvram>/n</nvram></os><devices><disk type='file' device='disk'><source file='/i'/><backingStore "
    "type='block'><source dev='/dev/b'/><backingStore/></backingStore><target dev='vda'/></disk><interface "
    "type='hostdev' managed='yes'><source><address type='pci' domain='0x0000' bus='0x03' slot='0x10' function='0x0'/>"
    "</source><alias name='n0'/></interface></devices></domain>"
)
LINES = joined(MESSAGES)


class Played(Qmp):
    """A monitor that answers each command with what ``answers`` has."""

    def __init__(self, answers: Any) -> None:  # noqa: ANN401 - any value
        self.answers, self.events, self.pid, self.version = answers, [], 4711, (10, 0, 2)

    def execute(self, command: str, timeout: float | None = None, **_arguments: object) -> Any:  # noqa: ANN401 - any value
        return self.answers.get(command) if isinstance(self.answers, dict) else self.answers

    def close(self) -> None:
        """Nothing is open."""


class Backend(QemuBackend):
    """The backend of QEMU, with one monitor."""

    def __init__(self, answers: Any) -> None:  # noqa: ANN401 - any value
        super().__init__(_host().sysfs, refuse)
        object.__setattr__(self, "answers", answers)

    def _connect(self, _path: str, timeout: float = 1.0) -> Qmp:
        return Played(self.answers)  # type: ignore[attr-defined]  # it is set above


def answers(one: Any) -> object:  # noqa: ANN401 - any value
    """A QEMU whose answers have other types and values."""
    found = Backend(one).ask("/qmp", ARGV)
    return found, repr(found)


def lines(text: str) -> object:
    """A QEMU, or whoever else, that sends ``text`` and goes."""
    here, there = socket.socketpair()
    with here, there:
        there.sendall(text.encode("utf-8", "surrogatepass"))
        there.shutdown(socket.SHUT_WR)
        qmp = Qmp(here, 1.0)
        found = [qmp.execute("query-status"), qmp.wait_event(_is_resume, "an event of QEMU", 1.0)]
        return found, migration.poll(qmp, 1.0, lambda _s: None)


def _is_resume(event: dict[str, Any]) -> bool:
    return event.get("event") == "RESUME"


@functools.lru_cache(maxsize=1)
def _host() -> FakeHost:
    host = FakeHost(Path(tempfile.mkdtemp(prefix="kvmfleet-fuzz-")))
    pf = host.igb("0000:03:00.0")
    host.setup(pf, 7, range(7), "igbvf")
    pf.vfs[0].elsewhere = True
    host.draw()
    proc = host.root / "proc"
    for folder in ("4711/fd", "4711/fdinfo", "4711/ns", "self/ns"):
        (proc / folder).mkdir(parents=True)
    os.symlink("/usr/bin/qemu-system-x86_64", proc / "4711/exe")
    os.symlink("/dev/vfio/3", proc / "4711/fd/31")
    os.symlink("mnt:[2]", proc / "4711/ns/mnt")
    os.symlink("mnt:[1]", proc / "self/ns/mnt")
    return host


def files(contents: dict[str, str]) -> object:
    """A process whose files have other contents, our own mounts among them."""
    host = _host()
    for name, text in {**FILES, **contents}.items():
        for owner in ("4711", "self") if name == "mountinfo" else ("4711",):
            (host.root / "proc" / owner / name).write_text(text, encoding="utf-8", errors="surrogateescape")
    return (
        [str(one) for one in candidates.candidates(host.sysfs)],
        processes.users(host.sysfs, {"c 235:3"}),
        list(block_devices.read_mounts(host.sysfs)),
        namespaces.find(host.sysfs, refuse, frozenset({host.pfs["0000:03:00.0"].vfs[0].address})),
        list(discovery.processes(host.sysfs)),
    )
