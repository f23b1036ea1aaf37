# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel tried once by BootNext, where GRUB cannot write.

Real: grub-mkconfig, grub-editenv. Played: disks, ESP, the firmware's variables. What the real firmware and the real
GRUB make of it is in `test_ovmf_boots`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import efi, efi_options, grub_bootnext, loaders
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.answer import Loader
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.firmware import TRIAL
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError, RefusedError, VerifyError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from tests.fake.boot.efi import PART, EfiHost
from tests.fake.boot.grub import NEW, OLD, UUID, GrubRoot, entry, missing
from tests.fake.boot.power_cut import Power

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not on this machine: {', '.join(missing())}")
ESP = "boot/efi/EFI"


@pytest.fixture
def root(tmp_path: Path) -> GrubRoot:
    """A root on LVM, started by shim and GRUB of the ESP."""
    made = GrubRoot.make(tmp_path / "root")
    made.settings("GRUB_DEFAULT=saved\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\n")
    made.update()
    made.environment(f"saved_entry={entry(OLD)}")
    made.host(device="dm-0")
    host = EfiHost.make(made.folder, r"\EFI\debian\shimx64.efi", running=OLD)
    for name in ("shimx64", "grubx64", "mmx64", "fbx64"):
        host.write(f"{ESP}/debian/{name}.efi", name)
    stub = f"search.fs_uuid {UUID} root\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n"
    host.write(f"{ESP}/debian/grub.cfg", stub)
    esp = "2 1 8:1 / /boot/efi rw - vfat /dev/sda1 rw\n"
    host.write("proc/self/mountinfo", f"1 0 254:16 / / rw - ext4 /dev/mapper/vg-root rw\n{esp}")
    return made


def of(root: GrubRoot) -> Loader:
    return loaders.find(Sysfs(str(root.folder)), root.run)


def test_a_kernel_is_tried_once(root: GrubRoot) -> None:
    loader = of(root)
    assert loader.answer().no_once is None
    loader.set_once(loader.answer().choice(NEW), ("panic=30",))
    answer = of(root).answer()
    assert (answer.next.release, answer.default.release, answer.next.command_line[-8:]) == (NEW, OLD, "panic=30")
    assert answer.on_failure is not None
    assert answer.on_failure.release == OLD
    assert sorted(os.listdir(root.folder / ESP / "kvmfleet")) == ["grub.cfg", "grubx64.efi", "mmx64.efi", "shimx64.efi"]
    sysfs = Sysfs(str(root.folder))
    option = efi.option(sysfs, TRIAL)
    assert option is not None
    assert (option.file, option.partition) == ("/EFI/kvmfleet/shimx64.efi", PART)
    assert efi.numbers(sysfs, "BootNext") == [TRIAL]
    assert TRIAL not in efi.numbers(sysfs, "BootOrder")
    of(root).set_once(None)
    assert (of(root).answer().next.release, efi.numbers(sysfs, "BootNext")) == (OLD, [])


def test_a_power_cut_leaves_a_whole_trial_or_none(
    root: GrubRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    power, kept, written = Power(tmp_path / "power"), tmp_path / "kept", efi.write
    root.cut = power.step
    monkeypatch.setattr(os, "sync", power.step)  # not of all disks of this machine

    def write(sysfs: Sysfs, name: str, value: bytes) -> None:
        written(sysfs, name, value)
        power.step()

    monkeypatch.setattr(efi, "write", write)

    def run(argv: Sequence[str]) -> str:
        power.step()
        return root.run(argv)

    def arm() -> None:
        loader = loaders.find(Sysfs(str(root.folder)), run)
        loader.set_once(loader.answer().choice(NEW), ("panic=30",))

    def restore() -> None:
        shutil.rmtree(root.folder)
        shutil.copytree(kept, root.folder, symlinks=True)

    shutil.copytree(root.folder, kept, symlinks=True)
    arm()  # once, and kept in memory: what grub-mkconfig writes
    restore()
    found, step = set(), 0
    while power.cut(step, arm):
        answer = of(root).answer()
        assert (answer.next.release, answer.default.release) in ((OLD, OLD), (NEW, OLD)), step
        found.add(answer.next.release)
        arm()
        assert (of(root).answer().next.release, of(root).answer().default.release) == (NEW, OLD), step
        restore()
        step += 1
    assert step > 10
    assert found == {OLD, NEW}


def test_the_boot_that_it_was_tried_in(root: GrubRoot) -> None:
    """The firmware has taken BootNext back, and BootCurrent is the trial's."""
    of(root).set_once(of(root).answer().choice(NEW))
    sysfs = Sysfs(str(root.folder))
    efi.delete(sysfs, "BootNext")
    efi.write(sysfs, "BootCurrent", TRIAL.to_bytes(2, "little"))
    answer = of(root).answer()
    assert (answer.next.release, answer.default.release) == (OLD, OLD)
    of(root).set_default(of(root).answer().choice(NEW))
    answer = of(root).answer()
    assert (answer.next.release, answer.default.release, answer.default.pinned) == (NEW, NEW, True)


def test_programs_that_were_replaced_meanwhile_are_not_what_starts(root: GrubRoot) -> None:
    of(root).set_once(of(root).answer().choice(NEW))
    (root.folder / ESP / "debian/shimx64.efi").write_text("another")
    assert of(root).answer().next.kernel is None
    of(root).set_once(of(root).answer().choice(NEW))
    assert of(root).answer().next.release == NEW


LACKS = {
    "the ESP is not mounted": ("is not mounted", "1 0 254:16 / / rw - ext4 /dev/mapper/vg-root rw\n"),
    "the ESP is read-only": (
        "/boot/efi is mounted read-only",
        "1 0 254:16 / / rw - ext4 /dev/mapper/vg-root rw\n2 1 8:1 / /boot/efi ro - vfat /dev/sda1 rw\n",
    ),
    "the variables are read-only": (
        "efivars is mounted read-only",
        "1 0 254:16 / / rw - ext4 /dev/mapper/vg-root rw\n2 1 8:1 / /boot/efi rw - vfat /dev/sda1 rw\n"
        "3 1 0:9 / /sys/firmware/efi/efivars ro - efivarfs efivarfs ro\n",
    ),
}


@pytest.mark.parametrize(("words", "mounts"), LACKS.values(), ids=LACKS.keys())
def test_what_it_needs(root: GrubRoot, words: str, mounts: str) -> None:
    (root.folder / "proc/self/mountinfo").write_text(mounts)
    before = (root.folder / "boot/grub/grub.cfg").read_bytes()
    reason = of(root).answer().no_once
    assert reason is not None
    assert "no plain partition" in reason
    assert words in reason
    with pytest.raises(RefusedError, match="cannot be tried once"):
        of(root).set_once(of(root).answer().choice(NEW))
    assert (root.folder / "boot/grub/grub.cfg").read_bytes() == before


def locked(name: str) -> bytes:
    raise KernelError("write", name, 1)


@pytest.mark.parametrize("how", ["refuses", "forgets"])
def test_firmware_that_does_not_take_it(root: GrubRoot, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    before = {path: path.read_bytes() for path in (root.folder / "boot/grub").iterdir()}
    taken = efi.write

    def write(sysfs: Sysfs, name: str, value: bytes) -> None:
        if name != "BootNext":
            taken(sysfs, name, value)
        elif how == "refuses":
            locked(name)

    monkeypatch.setattr(efi, "write", write)
    with pytest.raises(KernelError if how == "refuses" else VerifyError):
        of(root).set_once(of(root).answer().choice(NEW))
    assert {path: path.read_bytes() for path in (root.folder / "boot/grub").iterdir()} == before
    assert (of(root).answer().next.release, of(root).answer().default.release) == (OLD, OLD)


def test_an_option_of_somebody_else_stays(root: GrubRoot) -> None:
    sysfs = Sysfs(str(root.folder))
    data = efi_options.of_another_file(efi.variable(sysfs, "Boot0003", efi.GLOBAL) or b"", "mine", "/EFI/a/b.efi")
    efi.write(sysfs, grub_bootnext.NAME, data)
    assert "is not ours" in (of(root).answer().no_once or "")
