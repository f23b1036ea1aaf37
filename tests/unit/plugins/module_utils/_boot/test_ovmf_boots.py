# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the real firmware starts, with the real GRUB and systemd-boot.

Played: the kernels, and the host whose files and variables are what the machine gets. Debian's ovmf,
grub-efi-amd64-bin and systemd-boot-efi, as `tools/setup` has them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import efi, loaders
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.answer import Answer
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from tests.fake.boot import ovmf, ovmf_machine
from tests.fake.boot.efi import EfiHost
from tests.fake.boot.grub import NEW, OLD, UUID, GrubRoot, entry
from tests.fake.boot.grub import missing as missing_of_grub
from tests.fake.boot.loader_files import GRUB_MODULES, SYSTEMD_BOOT
from tests.fake.boot.ovmf_machine import FS_UUID, PARTITION, Machine, missing

LACKS_GRUB = [*missing(GRUB_MODULES), *missing_of_grub()]
LACKS_SYSTEMD_BOOT = missing(SYSTEMD_BOOT)
pytestmark = [pytest.mark.slow, pytest.mark.heavy]
EFIVARS = "sys/firmware/efi/efivars"


def answer_of(root: GrubRoot) -> Answer:
    return loaders.find(Sysfs(str(root.folder)), root.run).answer()


def machine_of(root: GrubRoot) -> Machine:
    """The machine with this root's ESP, grub.cfg and variables."""
    text = (root.folder / "boot/grub/grub.cfg").read_text().replace(UUID, FS_UUID)
    (root.folder / "boot/efi/EFI/debian/grub.cfg").write_text(ovmf_machine.PLAYED + text)
    made = Machine(root.folder / "boot/efi", root.folder / "variables.fd")
    made.take(root.folder / EFIVARS)
    return made


@pytest.fixture
def root(tmp_path: Path) -> GrubRoot:
    """A root on LVM, started by the real GRUB of the ESP."""
    made = GrubRoot.make(tmp_path / "root")
    made.settings("GRUB_DEFAULT=saved\nGRUB_TIMEOUT=0\nGRUB_TERMINAL=console\nGRUB_DISTRIBUTOR=Debian\n")
    made.update()
    made.environment(f"saved_entry={entry(OLD)}")
    made.host(device="dm-0")
    host = EfiHost.make(made.folder, r"\EFI\debian\grubx64.efi", running=OLD, partition=PARTITION)
    host.write("boot/efi/EFI/debian/grubx64.efi", ovmf_machine.grub(tmp_path / "grub.efi"))
    esp = "2 1 8:1 / /boot/efi rw - vfat /dev/sda1 rw\n"
    host.write("proc/self/mountinfo", f"1 0 254:16 / / rw - ext4 /dev/mapper/vg-root rw\n{esp}")
    return made


@pytest.mark.skipif(bool(LACKS_GRUB), reason=f"not on this machine: {', '.join(LACKS_GRUB)}")
def test_a_kernel_is_tried_once_by_bootnext(root: GrubRoot) -> None:
    """This GRUB sees no saved_entry, and starts entry 0, the good one."""
    loader = loaders.find(Sysfs(str(root.folder)), root.run)
    loader.set_once(loader.answer().choice(NEW), ("panic=30",))
    answer = answer_of(root)
    assert (answer.next.release, answer.default.release) == (NEW, OLD)
    machine = machine_of(root)
    assert f"BootNext-{efi.GLOBAL}" in machine.variables()
    _status, text = machine.start()
    assert f"started /boot/vmlinuz-{NEW}" in text, text[-800:]
    assert "panic=30" in text
    assert f"BootNext-{efi.GLOBAL}" not in machine.variables()
    assert int.from_bytes(machine.variables()[f"BootOrder-{efi.GLOBAL}"][:2], "little") == 3
    assert [machine.kernel(), machine.kernel()] == [f"/boot/vmlinuz-{OLD}"] * 2


@pytest.mark.skipif(bool(LACKS_GRUB), reason=f"not on this machine: {', '.join(LACKS_GRUB)}")
def test_programs_that_are_gone_lead_to_the_default(root: GrubRoot) -> None:
    loader = loaders.find(Sysfs(str(root.folder)), root.run)
    loader.set_once(loader.answer().choice(NEW))
    (root.folder / "boot/efi/EFI/kvmfleet/grubx64.efi").unlink()
    assert answer_of(root).next.kernel is None
    machine = machine_of(root)
    assert [machine.kernel(), machine.kernel()] == [f"/boot/vmlinuz-{OLD}"] * 2


STARTED = {2 * ovmf.TRIED + 1: NEW, 2 * ovmf.OTHER + 1: OLD}
FORMS = {
    # loader.conf; variables; what starts, boot after boot
    "nothing": ("", {}, [NEW, NEW]),
    "loader.conf": (f"default m-{OLD}.conf\n", {}, [OLD, OLD]),
    "a pattern": ("default m-6.1.*\n", {}, [OLD, OLD]),
    "of two the last": (f"default m-{NEW}.conf\ndefault M-{OLD}.CONF\n", {}, [OLD, OLD]),
    "one that is gone": ("default gone-*\n", {}, [NEW, NEW]),
    "the variable counts more": (f"default m-{NEW}.conf\n", {"LoaderEntryDefault": f"m-{OLD}.conf"}, [OLD, OLD]),
    "once": (f"default m-{OLD}.conf\n", {"LoaderEntryOneShot": f"m-{NEW}.conf"}, [NEW, OLD]),
}


@pytest.mark.skipif(bool(LACKS_SYSTEMD_BOOT), reason=f"not on this machine: {', '.join(LACKS_SYSTEMD_BOOT)}")
@pytest.mark.parametrize(("conf", "variables", "expected"), FORMS.values(), ids=FORMS.keys())
def test_what_systemd_boot_starts(tmp_path: Path, conf: str, variables: dict[str, str], expected: list[str]) -> None:
    host = EfiHost.make(tmp_path / "root", r"\EFI\systemd\systemd-bootx64.efi", partition=PARTITION)
    host.write("boot/efi/EFI/systemd/systemd-bootx64.efi", SYSTEMD_BOOT.read_bytes())
    host.write("boot/efi/loader/loader.conf", conf)
    for release, number in ((NEW, ovmf.TRIED), (OLD, ovmf.OTHER)):
        host.kernel(release)
        host.write(f"boot/efi/m/{release}/linux", ovmf.program(number))
        text = f"title Debian\nversion {release}\noptions quiet\nlinux /m/{release}/linux\n"
        host.write(f"boot/efi/loader/entries/m-{release}.conf", text)
    for name, value in variables.items():
        host.variable(name, value)
    machine = Machine(host.folder / "boot/efi", tmp_path / "variables.fd")
    machine.take(host.folder / EFIVARS)
    host.variable("LoaderInfo", "systemd-boot 252.39-1~deb12u1")
    host.variable("LoaderDevicePartUUID", PARTITION)
    answer = loaders.find(host.sysfs, host.run).answer()
    assert [answer.next.release, answer.default.release] == expected
    each = list(dict.fromkeys(expected))  # a boot that changes nothing is not repeated
    boots = [machine.start() for _boot in each]
    assert [STARTED.get(status, text[-500:]) for status, text in boots] == each
