# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dry starts of real QEMUs beside running VMs, which feel nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import process
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import images
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.dry_start import DryStart
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import argv as _argv
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import dry_run
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.facts import QemuFacts
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.probe import Probe
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.vm_facts import VmFacts
from tests.fake.vm.boot_sector import boot_sector
from tests.fake.vm.real import NEEDS_QEMU, PROGRAM, Machine, running
from tests.fake.vm.ticking import counts_on, monitor, wait_for_guest

pytestmark = [
    *NEEDS_QEMU,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]
Words = Callable[[Path], list[str]]
Look = Callable[[Path], object]
CODE = 0x7C00
"""Where the guest's program is in its memory."""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kf", dir="/dev/shm") as path:
        yield Path(path)


def disk(folder: Path) -> str:
    path = folder / "disk"
    path.write_bytes(boot_sector().ljust(1 << 20, b"\0"))
    return str(path)


def boots(folder: Path) -> list[str]:
    return ["-drive", f"file={disk(folder)},format=raw,if=none,id=d", "-device", "ide-hd,drive=d"]


def facts(argv: list[str], pid: int | None = None, probe: Probe | None = None, qmp: str = "/q") -> VmFacts:
    known = probe or Probe(0, (10, 0, 2), "running", (), {"q35": "pc-q35-10.0"}, ())
    detail = QemuFacts(tuple(argv), "/", 0, False, False, "", "", qmp, known, None)
    found = tuple(images.find(Sysfs(), name, "/") for name in known.images)
    return VmFacts("real", "qemu", pid or os.getpid(), 1, "real.service", detail, memory_bytes=32 << 20, images=found)


def of(machine: Machine) -> VmFacts:
    probe = machine.backend.ask(machine.qmp, machine.argv)
    return facts(machine.argv, machine.processes[0].pid, probe, machine.qmp)


def dry(vm: VmFacts) -> DryStart:
    return dry_run.attempt(Sysfs(), process.run, vm)


class Listener:
    """A server of a unix socket that counts its clients."""

    def __init__(self, path: Path) -> None:
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen()
        self.clients: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.clients.append(self.server.accept()[0])

    def end(self) -> None:
        for one in (self.server, *self.clients):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def memory(folder: Path) -> list[str]:
    path = folder / "ram"
    backend = f"memory-backend-file,id=m0,size=32M,mem-path={path},share=on,discard-data=on,prealloc=on"
    return ["-object", backend, "-machine", "memory-backend=m0"]


def code_in_memory(folder: Path) -> bytes:
    with (folder / "ram").open("rb") as file:
        file.seek(CODE)
        return file.read(512)


def content(name: str) -> Look:
    return lambda folder: (folder / name).read_bytes()[:64]


def inode(name: str) -> Look:
    return lambda folder: (folder / name).stat().st_ino


def nothing(_folder: Path) -> None:
    pass


SERVER = "server=on,wait=off"
BESIDE: dict[str, tuple[Words, Look]] = {
    "memory": (memory, code_in_memory),
    "memfd": (
        lambda folder: ["-object", "memory-backend-memfd,id=m0,size=32M,prealloc=on", "-machine", "memory-backend=m0"],
        nothing,
    ),
    "serial": (lambda folder: ["-serial", f"file:{folder}/console"], content("console")),
    "chardev": (
        lambda folder: ["-chardev", f"file,id=c0,path={folder}/console", "-device", "isa-serial,chardev=c0"],
        content("console"),
    ),
    "log": (lambda folder: ["-D", f"{folder}/log", "-d", "guest_errors"], content("log")),
    "pidfile": (lambda folder: ["-pidfile", f"{folder}/pid"], content("pid")),
    "monitor": (lambda folder: ["-monitor", f"unix:{folder}/mon,{SERVER}"], inode("mon")),
    "second qmp": (
        lambda folder: ["-chardev", f"socket,id=c0,path={folder}/mon,{SERVER}", "-mon", "c0,mode=control"],
        inode("mon"),
    ),
    "vnc": (lambda folder: ["-vnc", f"unix:{folder}/vnc"], inode("vnc")),
    "gdb": (lambda folder: ["-gdb", f"unix:{folder}/gdb,{SERVER}"], inode("gdb")),
    "mirrored console": (
        lambda folder: ["-chardev", f"null,id=c0,logfile={folder}/log", "-device", "isa-serial,chardev=c0"],
        content("log"),
    ),
    "user network": (lambda folder: ["-nic", "user,model=e1000"], nothing),
    "network file": (
        lambda folder: [
            "-netdev", "hubport,id=n0,hubid=1", "-device", "e1000,netdev=n0",
            "-object", f"filter-dump,id=f0,netdev=n0,file={folder}/pcap",
        ],
        content("pcap"),
    ),
    "iothread and rng": (
        lambda folder: [
            "-object", "iothread,id=i0", "-object", "rng-random,id=r0,filename=/dev/urandom",
            "-device", "virtio-rng-pci,rng=r0", "-device", "virtio-scsi-pci,iothread=i0",
        ],
        nothing,
    ),
}  # fmt: skip


def write_into(folder: Path) -> None:
    """Something that a second QEMU would cut off."""
    for name in ("console", "log", "pcap"):
        if (folder / name).exists():
            (folder / name).write_bytes(b"what was written before")


@pytest.mark.parametrize("case", BESIDE)
def test_the_running_vm_feels_nothing(folder: Path, case: str) -> None:
    words, look = BESIDE[case]
    with running(*boots(folder), *words(folder)) as machine:
        wait_for_guest(machine)
        write_into(folder)
        before = look(folder), inode_of(machine), whole(folder / "disk"), sorted(os.listdir(folder))
        assert dry(of(machine)) == DryStart()
        assert (look(folder), inode_of(machine), whole(folder / "disk"), sorted(os.listdir(folder))) == before
        assert counts_on(machine)
        assert machine.status() == "running"


def inode_of(machine: Machine) -> int:
    return os.stat(machine.qmp).st_ino


def whole(path: Path) -> tuple[str, int]:
    """Contents and time of an image."""
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns


@pytest.mark.parametrize("case", ["memory", "serial", "log", "monitor", "vnc"])
def test_started_as_it_is_the_restore_hurts(folder: Path, case: str) -> None:
    """The tests above would see it: so would the operator."""
    words, look = BESIDE[case]
    with running(*boots(folder), *words(folder)) as machine:
        wait_for_guest(machine)
        write_into(folder)
        before = look(folder), inode_of(machine)
        line = _argv.for_restore(machine.argv, {})
        second = subprocess.Popen(line, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 20
            while inode_of(machine) == before[1] and second.poll() is None and time.monotonic() < until:
                time.sleep(0.05)
            time.sleep(0.5)
            second.terminate()
            second.wait(20)
        finally:
            second.kill()
            second.wait()
        with contextlib.suppress(FileNotFoundError):
            assert (look(folder), os.stat(machine.qmp).st_ino) != before


def test_no_helper_gets_a_second_client(folder: Path) -> None:
    """A swtpm ends its first connection for a second one."""
    helper = Listener(folder / "helper")
    words = ["-chardev", f"socket,id=c0,path={folder}/helper", "-device", "isa-serial,chardev=c0"]
    try:
        with running(*boots(folder), *words) as machine:
            wait_for_guest(machine)
            assert dry(of(machine)) == DryStart()
            tpm = ["-tpmdev", "emulator,id=t0,chardev=c0", "-device", "tpm-crb,tpmdev=t0"]
            user = ["-chardev", f"socket,id=c1,path={folder}/helper", "-device", "vhost-user-blk-pci,chardev=c1"]
            net = ["-netdev", "vhost-user,id=n0,chardev=c0", "-device", "virtio-net-pci,netdev=n0"]
            assert dry(facts([*machine.argv, *tpm, *user, *net])) == DryStart()
            time.sleep(0.2)
            assert len(helper.clients) == 1
            assert counts_on(machine)
    finally:
        helper.end()


def test_no_memory_is_touched(folder: Path) -> None:
    """Neither huge pages nor pages in advance."""
    argv = [
        str(PROGRAM), "-accel", "tcg", "-M", "q35,memory-backend=m0", "-m", "512G", "-nodefaults", "-mem-prealloc",
        "-object", "memory-backend-memfd,id=m0,size=512G,hugetlb=on,hugetlbsize=2M,prealloc=on,share=on",
    ]  # fmt: skip
    vm = facts(argv)
    assert dry(vm) == DryStart()


NBD = shutil.which("qemu-nbd")


@contextlib.contextmanager
def exported(folder: Path, clients: int) -> Iterator[str]:
    """The socket of an NBD server for some clients at once."""
    path = folder / "nbd"
    (folder / "net").write_bytes(b"x" * (1 << 20))
    server = subprocess.Popen([str(NBD), "-k", str(path), "-f", "raw", "-e", str(clients), "-t", str(folder / "net")])
    try:
        until = time.monotonic() + 20
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.02)
        yield str(path)
    finally:
        server.kill()
        server.wait()


@pytest.mark.skipif(NBD is None, reason="qemu-nbd is not installed")
@pytest.mark.parametrize("form", ["drive", "blockdev"])
@pytest.mark.parametrize("clients", [1, 2])
def test_an_image_with_one_client(folder: Path, clients: int, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry_run, "LOOK_S", 2.0)
    with exported(folder, clients) as path:
        tree = f'{{"driver": "nbd", "node-name": "n", "server": {{"type": "unix", "path": "{path}"}}}}'
        disk_of = {
            "drive": ["-drive", f"file=nbd:unix:{path},format=raw,if=virtio,id=n"],
            "blockdev": ["-blockdev", tree, "-device", "virtio-blk-pci,drive=n"],
        }[form]
        with running(*boots(folder), *disk_of) as machine:
            wait_for_guest(machine)
            found = dry(of(machine))
            assert found.problem == ""
            assert ["gave no answer to qemu-img" in text for text in found.untried] == [True] * (clients == 1)
            assert "requested" not in monitor(machine, 'qemu-io n "write 0 512"')
            assert counts_on(machine)


@pytest.mark.skipif(NBD is None, reason="qemu-nbd is not installed")
def test_a_server_that_is_gone_is_found(folder: Path) -> None:
    found = dry(facts([str(PROGRAM), "-drive", f"file=nbd:unix:{folder}/gone,format=raw,if=virtio"]))
    assert f"its image nbd:unix:{folder}/gone/ cannot be opened: qemu-img: Could not open" in found.problem


BASE = [str(PROGRAM), "-accel", "tcg", "-M", "q35", "-m", "32", "-nodefaults"]
BROKEN = [
    (["-drive", "file=/no/disk,format=raw,if=virtio"], "ends with status 1: .*Could not open '/no/disk': No such file"),
    (["-M", "pc-q35-0.1"], "ends with status 1: .*unsupported machine type"),
    (["-bios", "/no/fw"], "ends with status 1: .*could not load PC BIOS '/no/fw'"),
    (["-device", "e1000,romfile=/no/rom"], "ends with status 1: .*failed to find romfile"),
    (["-device", "e1000,nosuch=1"], "ends with status 1: .*nosuch"),
    (["-cpu", "nosuch"], "ends with status 1: .*unable to find CPU model 'nosuch'"),
    (["-device", "virtio-net-pci,netdev=n7"], "ends with status 1: .*n7"),
    (["-netdev", "bridge,id=n0,br=b,helper=/no/helper"], "^its restore opens /no/helper, which is not there$"),
    (["-chardev", "socket,id=c0,path=/no/swtpm"], "^its restore opens /no/swtpm, which is not there$"),
    (["-sandbox", "on,nosuch=1"], "ends with status 1: .*nosuch"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "problem"), BROKEN, ids=[" ".join(words) for words, _problem in BROKEN])
def test_what_no_restore_would_survive_is_found(words: list[str], problem: str) -> None:
    found = dry(facts([*BASE, *words]))
    assert re.search(problem, found.problem), found
    assert found.untried == ()
    assert "dry_start: false" in found.fix


def test_a_program_that_is_gone() -> None:
    found = dry(facts(["/no/qemu", *BASE[1:]]))
    assert (
        "a QEMU of its restore ends with status 127: [Errno 2] No such file or directory: '/no/qemu'" in found.problem
    )


def test_a_disk_that_went_away_since_the_start(folder: Path) -> None:
    with running(*boots(folder)) as machine:
        os.unlink(folder / "disk")
        assert f"Could not open '{folder}/disk'" in dry(of_running(machine)).problem


def of_running(machine: Machine) -> VmFacts:
    """As `of`, without the images, which are refused for themselves."""
    return facts(machine.argv, machine.processes[0].pid)


def test_what_is_not_listed_is_said_and_not_started() -> None:
    def refused(argv: Sequence[str]) -> str:
        raise AssertionError(f"it was started: {argv}")

    found = dry_run.attempt(Sysfs(), refused, facts([*BASE, "-writeconfig", "/x"]))
    assert found == DryStart(untried=("-writeconfig is not on the list of what may be started beside a running VM",))


def test_a_backing_image_on_a_network_is_not_opened() -> None:
    """The header of an image leads there, no option does."""
    known = Probe(0, (10, 0, 2), "running", (), {}, (), images=("/dev/null", "nbd:unix:/run/n/e"))
    found = dry(facts([*BASE, "-drive", "file=/dev/null,if=virtio"], probe=known))
    assert found == DryStart(untried=("image nbd:unix:/run/n/e is behind another one, and on a network",))


READ_ONLY = [
    ["-device", "ide-hd,drive=x"], ["-device", "virtio-blk-pci,drive=x"], ["-device", "nvme,drive=x,serial=1"],
    ["-device", "virtio-scsi-pci", "-device", "scsi-hd,drive=x"], ["-device", "ide-cd,drive=x"],
    ["-device", "qemu-xhci", "-device", "usb-storage,drive=x"],
]  # fmt: skip


@pytest.mark.parametrize("form", ["drive", "blockdev"])
@pytest.mark.parametrize("words", READ_ONLY, ids=[words[-1] for words in READ_ONLY])
def test_disks_of_every_kind_may_be_opened_read_only(folder: Path, words: list[str], form: str) -> None:
    path = folder / "x"
    path.write_bytes(b"\0" * (4 << 20))
    drives = {
        "drive": ["-drive", f"file={path},format=raw,if=none,id=x,discard=unmap,detect-zeroes=unmap"],
        "blockdev": ["-blockdev", f"driver=raw,node-name=x,file.driver=file,file.filename={path}"],
    }  # fmt: skip
    assert dry(facts([*BASE, *drives[form], *words])) == DryStart()


@pytest.mark.parametrize("slot", ["if=pflash", "if=floppy", "if=ide", "if=virtio"])
def test_slots_of_every_kind_may_be_opened_read_only(folder: Path, slot: str) -> None:
    (folder / "x").write_bytes(b"\0" * (1 << 20 if slot == "if=pflash" else 1474560))
    assert dry(facts([*BASE, "-drive", f"file={folder}/x,format=raw,{slot}"])) == DryStart()


def test_an_image_that_is_locked_by_its_vm(folder: Path) -> None:
    """A second QEMU that asks for the lock is refused."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(folder / "q"), "4M"], check=True)
    file = {"driver": "file", "filename": f"{folder}/q", "locking": "on"}
    tree = json.dumps({"driver": "qcow2", "node-name": "q", "file": file})
    with running(*boots(folder), "-blockdev", tree, "-device", "virtio-blk-pci,drive=q") as machine:
        wait_for_guest(machine)
        before = whole(folder / "q")
        assert dry(of(machine)) == DryStart()
        assert whole(folder / "q") == before
        assert counts_on(machine)
