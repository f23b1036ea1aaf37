# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of a real QEMU, changed while it runs and later.

Its guest writes all the time, without an operating system.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import images
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.images import Image
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp as _qmp
from tests.fake.vm.real import NEEDS_QEMU_AND_IMAGES, Machine

pytestmark = [*NEEDS_QEMU_AND_IMAGES]
BOOT = bytes.fromhex("31c08ed88ec0 ff06007e b80103 bb007e b90200 ba8000 cd13 ebec")
"""Counts in sector 2 of the first disk for ever.

By int 13h.
"""


def make(folder: Path) -> list[str]:
    """Images, and the words of a command line that has them."""
    raw = folder / "boot.raw"
    raw.write_bytes(BOOT.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    for words in (
        "convert -f raw -O qcow2 boot.raw base.qcow2", "create -q -f qcow2 -b base.qcow2 -F qcow2 over.qcow2",
        "create -q -f raw data.raw 1M", "create -q -f raw cd1.iso 1M", "create -q -f raw cd2.iso 1M",
        "create -q -f raw stick.raw 1M",
    ):  # fmt: skip
        subprocess.run(["qemu-img", *words.split()], cwd=folder, check=True)
    raw.unlink()
    return [
        "-drive", f"file={folder}/over.qcow2,if=none,id=d0", "-device", "virtio-blk-pci,drive=d0,bootindex=0",
        "-blockdev", f'{{"driver":"raw","node-name":"n","file":{{"driver":"file","filename":"{folder}/data.raw"}}}}',
        "-device", "virtio-blk-pci,drive=n,id=v", "-cdrom", f"{folder}/cd1.iso",
        "-device", "qemu-xhci", "-drive", f"file={folder}/stick.raw,if=none,format=raw,id=u",
        "-device", "usb-storage,drive=u,id=stick",
    ]  # fmt: skip


@pytest.fixture
def machine() -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="kf"))
    found = Machine(folder, *make(folder))
    found.start(found.argv)
    found.wait()
    yield found
    found.end()
    shutil.rmtree(folder)


def moved(machine: Machine) -> list[str]:
    """Differences with the command line, in words without the folder."""
    found = machine.backend.ask(machine.qmp, machine.argv).moved
    return [problem.replace(f"{machine.folder}/", "") for problem, _fix in found]


def ask(machine: Machine, command: str, **arguments: str | bool) -> None:
    with _qmp.connect(machine.qmp) as qmp:
        qmp.execute(command, None, **arguments)


def settled(machine: Machine, wanted: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not wanted():
        assert time.monotonic() < until
        time.sleep(0.05)


def jobs(machine: Machine) -> list[dict[str, object]]:
    with _qmp.connect(machine.qmp) as qmp:
        return list(qmp.execute("query-block-jobs"))


def counted(path: Path) -> bool:
    """Whether the guest has begun to write."""
    return path.stat().st_size > 200_000


def snapshot(machine: Machine) -> None:
    ask(machine, "blockdev-snapshot-sync", device="d0", **{"snapshot-file": f"{machine.folder}/snap.qcow2"})


def mirror_begun(machine: Machine) -> None:
    ask(machine, "drive-mirror", device="d0", target=f"{machine.folder}/mirror.qcow2", sync="full", format="qcow2")


def mirror(machine: Machine) -> None:
    mirror_begun(machine)
    settled(machine, lambda: bool(jobs(machine)[0]["ready"]))
    ask(machine, "block-job-complete", device="d0")
    settled(machine, lambda: not jobs(machine))


def other_cd(machine: Machine) -> None:
    ask(machine, "blockdev-change-medium", device="ide2-cd0", filename=f"{machine.folder}/cd2.iso", format="raw")


def no_cd(machine: Machine) -> None:
    ask(machine, "eject", device="ide2-cd0", force=True)


def unplugged(machine: Machine) -> None:
    ask(machine, "device_del", id="stick")
    settled(machine, lambda: "stick.raw" not in str(machine.backend.ask(machine.qmp, machine.argv).images))


def committed(machine: Machine) -> None:
    """The active layer, down to its base."""
    ask(machine, "block-commit", device="d0", **{"job-id": "c"})
    settled(machine, lambda: bool(jobs(machine)[0]["ready"]))
    ask(machine, "block-job-complete", device="c")
    settled(machine, lambda: not jobs(machine))


def streamed(machine: Machine) -> None:
    """The base, into its overlay: a restore follows the new header."""
    ask(machine, "block-stream", device="d0")
    settled(machine, lambda: not jobs(machine))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (snapshot, "its disk d0 has snap.qcow2 on over.qcow2 on base.qcow2 open, its restore would open over.qcow2"),
        (mirror, "its disk d0 has mirror.qcow2 open, its restore would open over.qcow2"),
        (mirror_begun, "a block job is at work on its disk 'd0' ('mirror')"),
        (other_cd, "its disk ide2-cd0 has cd2.iso open, its restore would open cd1.iso"),
        (no_cd, "its disk ide2-cd0 is gone or empty, its restore would open cd1.iso"),
        (unplugged, "its disk u is gone or empty, its restore would open stick.raw"),
        (committed, "its disk d0 has base.qcow2 open, its restore would open over.qcow2"),
    ],
)
def test_each_change_since_the_start_is_refused(
    machine: Machine, change: Callable[[Machine], None], words: str
) -> None:
    assert moved(machine) == []
    change(machine)
    assert moved(machine) == [words]
    with pytest.raises(SriovError, match=r"its disk .*: (take the change back|wait for its end)"):
        machine.backend.save(machine.vm({}), str(machine.folder / "state"))
    assert machine.status() == "running"


def test_a_chain_that_its_header_has_is_no_change(machine: Machine) -> None:
    streamed(machine)
    assert moved(machine) == []


def test_a_file_that_was_put_in_the_place_of_an_image(machine: Machine) -> None:
    """QEMU goes on with the old one, which has no name."""
    shutil.copy(machine.folder / "data.raw", machine.folder / "new")
    (machine.folder / "new").replace(machine.folder / "data.raw")
    with pytest.raises(SriovError, match=r"the file at .*data\.raw is not the one that it has open"):
        machine.backend.save(machine.vm({}), str(machine.folder / "state"))
    assert machine.status() == "running"


def changed(saved: tuple[Image, ...]) -> list[str]:
    found = ((image.name, images.difference(Sysfs(), image)) for image in saved)
    return [Path(name).name for name, reason in found if reason is not None]


def test_nothing_changes_from_the_last_flush_to_the_first_instruction(machine: Machine) -> None:
    """Neither QEMU's end, nor another that loads and ends, writes."""
    settled(machine, lambda: counted(machine.folder / "over.qcow2"))
    vm, state = machine.vm({}), str(machine.folder / "state")
    saved = machine.backend.save(vm, state).images
    names = ["base.qcow2", "cd1.iso", "data.raw", "over.qcow2", "stick.raw"]
    assert [Path(image.name).name for image in saved] == names
    time.sleep(0.1)
    machine.backend.discard(vm)
    machine.processes[-1].wait(10)
    assert changed(saved) == []

    def never() -> None:
        assert changed(saved) == []
        raise SriovError("not now")

    with pytest.raises(SriovError, match="not now"):
        machine.backend.restore(vm, state, {}, True, never)
    assert machine.backend.withdraw(vm)
    machine.processes[-1].wait(10)
    assert changed(saved) == []
    machine.backend.restore(vm, state, {}, True, lambda: None)
    settled(machine, lambda: changed(saved) == ["over.qcow2"])


def test_an_undone_save_is_no_save(machine: Machine) -> None:
    """The guest goes on writing, so the next save has new images."""
    settled(machine, lambda: counted(machine.folder / "over.qcow2"))
    vm, state = machine.vm({}), str(machine.folder / "state")
    first = machine.backend.save(vm, state).images
    machine.backend.undo(vm, state)
    settled(machine, lambda: changed(first) == ["over.qcow2"])
    assert changed(machine.backend.save(vm, state).images) == []


def rolled_back(path: Path) -> None:
    shutil.copy2(path.with_name("kept"), path)


def written(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100_000)
        file.write(b"x")


def replaced(path: Path) -> None:
    shutil.copy2(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


@pytest.mark.parametrize("name", ["over.qcow2", "base.qcow2", "cd1.iso"])
def test_each_change_after_the_save_is_seen(machine: Machine, name: str) -> None:
    path = machine.folder / name
    shutil.copy2(path, path.with_name("kept"))
    vm = machine.vm({})
    for change in (written, Path.touch, rolled_back, replaced, Path.unlink):
        saved = machine.backend.save(vm, str(machine.folder / "state")).images
        time.sleep(0.05)
        assert changed(saved) == []
        change(path)
        assert changed(saved) == [name], change
        if change in (replaced, Path.unlink):
            return
        machine.backend.undo(vm, str(machine.folder / "state"))
