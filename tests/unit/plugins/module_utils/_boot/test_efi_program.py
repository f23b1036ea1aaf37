# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose firmware starts \\EFI\\BOOT\\BOOTX64.EFI, whatever that is.

Played: programs with the marks of the real ones. Real, where `tools/setup` has them: Debian's.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import efi_options, efi_program, loaders
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.efi import GLOBAL
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.efi_program import Program
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.unknown import UnknownBootError
from tests.fake.boot.efi import PART, EfiHost, load_option
from tests.fake.boot.loader_files import GRUB_SIGNED, SHIM, SYSTEMD_BOOT

OLD = "6.1.0-18-amd64"
ROOT = "11111111-2222-4333-8444-555555555555"
FILE = r"\EFI\BOOT\BOOTX64.EFI"
BOOT, DEBIAN = "boot/efi/EFI/BOOT", "boot/efi/EFI/debian"
STUB = f"search.fs_uuid {ROOT} root hd0,gpt2\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n"
SEARCH = f"search.fs_uuid {ROOT} root hd0,gpt2\nset prefix=($root)'/boot/grub'\n"
A_SHIM = b"MZ\0UEFI SHIM\n$Version: 15.8 $\n"
LIST = "\ufeffshimx64.efi,debian,,This is the boot entry for debian\r\n".encode("utf-16-le")


def a_grub(prefix: str, configuration: str = "") -> bytes:
    """What a GRUB image has: a mark, and its objects.

    The magic of the objects is in its code, too.
    """
    objects = b""
    for which, text in ((2, configuration), (3, prefix)):
        content = text.encode().ljust(len(text) + 4, b"\0")
        objects += struct.pack("<II", which, 8 + len(content)) + content
    head = struct.pack("<4sIQQ", b"mimg", 0, 24, 24 + len(objects))
    return b"MZ\0mimgcode of it" + b"Welcome to GRUB!\n\0" + head + objects


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EfiHost:
    monkeypatch.setattr(efi_options, "REMOVABLE", "/EFI/BOOT/BOOTX64.EFI")
    made = EfiHost.make(tmp_path, FILE)
    made.write(
        "boot/grub/grub.cfg", f"set timeout=0\nmenuentry x --id linux-{OLD} {{\n\tlinux /boot/vmlinuz-{OLD}\n}}\n"
    )
    made.write(f"boot/vmlinuz-{OLD}", "x")
    (tmp_path / f"dev/disk/by-uuid/{ROOT}").symlink_to("../../sda2")
    return made


def evidence(host: EfiHost) -> tuple[str, ...]:
    """What shows which kernel starts; it is the old one."""
    answer = loaders.find(host.sysfs, host.run).answer()
    assert (answer.loader, answer.default.release) == ("grub", OLD)
    return answer.evidence


def test_programs_are_told_by_their_contents() -> None:
    assert efi_program.parse(A_SHIM) == Program("shim")
    assert efi_program.parse(a_grub("/EFI/debian", SEARCH)) == Program("GRUB", SEARCH, "/EFI/debian")
    assert efi_program.parse(b"Welcome to GRUB!\0mimg") == Program("GRUB")
    assert efi_program.parse(a_grub("/boot")[:-20]) == Program("GRUB")  # cut
    assert efi_program.parse(b"MZ\0systemd-boot") is None


@pytest.mark.skipif(
    not GRUB_SIGNED.exists() or not SHIM.exists(), reason="shim-signed or grub-efi-amd64-signed is not here"
)
def test_debians_own_programs() -> None:
    assert efi_program.parse(SHIM.read_bytes()) == Program("shim")
    assert efi_program.parse(GRUB_SIGNED.read_bytes()) == Program("GRUB", "normal (memdisk)/grub.cfg\n", "/EFI/debian")


@pytest.mark.skipif(not SYSTEMD_BOOT.exists(), reason="systemd-boot-efi is not here")
def test_systemd_boot_is_no_grub() -> None:
    assert efi_program.parse(SYSTEMD_BOOT.read_bytes()) is None


def test_a_grub_with_what_grub_install_has_built_in(host: EfiHost) -> None:
    host.write(f"{BOOT}/BOOTX64.EFI", a_grub("/EFI/BOOT", SEARCH))
    assert evidence(host)[-1] == "what is built into /EFI/BOOT/BOOTX64.EFI leads to /boot/grub"
    host.write(f"{BOOT}/BOOTX64.EFI", a_grub("/EFI/BOOT", SEARCH.replace(ROOT, "99999999")))
    with pytest.raises(UnknownBootError, match="leads to /boot/grub of file system 99999999"):
        loaders.find(host.sysfs, host.run)


def test_a_signed_grub_reads_the_folder_of_its_distribution(host: EfiHost) -> None:
    """Wherever on the ESP it was started from."""
    host.write(f"{BOOT}/bootx64.efi", A_SHIM)
    host.write(f"{BOOT}/grubx64.efi", a_grub("/EFI/debian"))
    host.write(f"{DEBIAN}/grub.cfg", STUB)
    assert evidence(host)[-1] == "/boot/efi/EFI/debian/grub.cfg leads to /boot/grub"
    host.write(f"{DEBIAN}/grub.cfg", STUB.replace(ROOT, "99999999"))
    with pytest.raises(UnknownBootError, match="of file system 99999999"):
        loaders.find(host.sysfs, host.run)
    (host.folder / DEBIAN / "grub.cfg").unlink()
    with pytest.raises(UnknownBootError, match="what it reads is not known"):
        loaders.find(host.sysfs, host.run)


LAYERED = {
    "lvm": ("lvmid/abcd-ef/gh-ij", "sys/class/block/dm-0/dm/uuid", "LVM-abcdefghij\n"),
    "raid": ("mduuid/0011aabb", "dev/disk/by-id/md-uuid-00:11:aa:bb", None),
}


@pytest.mark.parametrize(("device", "name", "text"), LAYERED.values(), ids=LAYERED.keys())
def test_a_grub_with_its_folder_on_a_layer(host: EfiHost, device: str, name: str, text: str | None) -> None:
    host.write(
        "proc/self/mountinfo", "1 0 254:0 / / rw - ext4 /dev/dm-0 rw\n2 1 8:1 / /boot/efi rw - vfat /dev/sda1 rw\n"
    )
    (host.folder / "sys/dev/block/254:0").symlink_to("../../block/dm-0")
    host.write(f"{BOOT}/BOOTX64.EFI", a_grub(f"({device})/boot/grub"))
    with pytest.raises(UnknownBootError, match=f"is not known .*{device}"):
        loaders.find(host.sysfs, host.run)
    if text is None:
        (host.folder / name).parent.mkdir(parents=True)
        (host.folder / name).symlink_to("../../dm-0")
    else:
        host.write(name, text)
    assert f"({device})/boot/grub, which is built into" in evidence(host)[-1]
    host.write(f"{BOOT}/BOOTX64.EFI", a_grub(f"({device})/other/grub"))
    with pytest.raises(UnknownBootError, match="is not known"):
        loaders.find(host.sysfs, host.run)


def with_fallback(host: EfiHost) -> None:
    for name in ("BOOTX64.EFI", "fbx64.efi"):
        host.write(f"{BOOT}/{name}", A_SHIM)
    host.write(f"{DEBIAN}/BOOTX64.CSV", LIST)
    host.write(f"{DEBIAN}/shimx64.efi", A_SHIM)
    host.write(f"{DEBIAN}/grub.cfg", STUB)


def test_a_shim_with_its_fallback_program(host: EfiHost) -> None:
    """It starts what a list names, and makes that a load option."""
    with_fallback(host)
    found = evidence(host)
    assert "/EFI/BOOT/BOOTX64.EFI leads to /EFI/debian/shimx64.efi" in found
    host.variable("Boot0007", load_option("debian", r"\EFI\debian\shimx64.efi", PART), GLOBAL)
    host.order(7, 3)
    assert evidence(host)[0] == "the firmware started /EFI/debian/shimx64.efi"
    host.order(7, name="BootCurrent")
    host.order(3, 7)
    assert evidence(host)[0] == "the firmware started /EFI/BOOT/BOOTX64.EFI"
    host.write("boot/efi/EFI/other/BOOT.CSV", LIST)
    with pytest.raises(UnknownBootError, match=r"the firmware starts Boot0003 .* by default"):
        loaders.find(host.sysfs, host.run)


def test_an_option_without_a_file_starts_what_is_at_that_path(host: EfiHost) -> None:
    data = load_option("UEFI OS", "x", PART)
    disk = data[6 : 6 + len("UEFI OS\0") * 2 + 42]
    host.variable("Boot0003", data[:4] + struct.pack("<H", 46) + disk + efi_options.END, GLOBAL)
    host.write(f"{BOOT}/BOOTX64.EFI", a_grub("/EFI/BOOT", SEARCH))
    assert evidence(host)[0] == "the firmware started /EFI/BOOT/BOOTX64.EFI"


@pytest.mark.parametrize("content", [None, b"MZ\0another program", A_SHIM])
def test_what_is_there_is_not_known(host: EfiHost, content: bytes | None) -> None:
    """As a shim without a GRUB beside it."""
    host.write(f"{BOOT}/BOOTX64.EFI", content or b"")
    if content is None:
        host.write("proc/self/mountinfo", "1 0 8:2 / / rw - ext4 /dev/sda2 rw\n")
    with pytest.raises(UnknownBootError, match="the boot loader is not known"):
        loaders.find(host.sysfs, host.run)
    host.variable("LoaderInfo", "GRUB 2.12")
    with pytest.raises(UnknownBootError, match="what it reads is not known"):
        loaders.find(host.sysfs, host.run)


def test_a_disk_without_file_and_partition(host: EfiHost) -> None:
    """Some boot loaders say which partition they are from."""
    host.variable("Boot0003", load_option("UEFI HARDDISK", ""), GLOBAL)
    host.write(f"{BOOT}/BOOTX64.EFI", a_grub("/EFI/BOOT", SEARCH))
    with pytest.raises(UnknownBootError, match=r"names neither a file nor a partition.*grub-install, bootctl install"):
        loaders.find(host.sysfs, host.run)
    host.variable("LoaderInfo", "GRUB 2.12")
    host.variable("LoaderDevicePartUUID", PART.upper())
    assert evidence(host)[0] == "the firmware started /EFI/BOOT/BOOTX64.EFI"
    host.variable("LoaderInfo", "systemd-boot 257")
    host.kernel(OLD)
    assert loaders.find(host.sysfs, host.run).answer().loader == "systemd-boot"


ZFS_SEARCH = "search.fs_uuid 0123456789abcdef root\nset prefix=($root)'/ROOT@/boot/grub'\n"


@pytest.mark.parametrize(
    ("kind", "built_in", "problem"),
    [
        ("ext4", SEARCH, None),
        ("ext4", SEARCH.replace(ROOT, "99999999"), "what is built into /EFI/mine/grubx64.efi leads to .* 99999999"),
        ("ext4", SEARCH.replace("/boot/grub", "/other/grub"), "leads to /other/grub"),
        ("zfs", ZFS_SEARCH, None),
        ("zfs", ZFS_SEARCH.replace("ROOT@", "OLD@"), "leads to /OLD@/boot/grub"),
    ],
)
def test_a_grub_of_its_own_name_reads_what_is_built_into_it(
    host: EfiHost, kind: str, built_in: str, problem: str | None
) -> None:
    """Two systems of one ESP have a GRUB each."""
    if kind == "zfs":
        rows = "1 0 0:27 / / rw - zfs bpool/ROOT rw\n2 1 8:1 / /boot/efi rw - vfat /dev/sda1 rw\n"
        host.write("proc/self/mountinfo", rows)
        configuration = host.folder / "boot/grub/grub.cfg"
        configuration.write_text(configuration.read_text().replace("/boot/vmlinuz", "/ROOT@/boot/vmlinuz"))
    host.variable("Boot0003", load_option("mine", r"\EFI\mine\grubx64.efi", PART), GLOBAL)
    host.write("boot/efi/EFI/mine/grubx64.efi", a_grub("/boot/grub", built_in))
    if problem is None:
        assert evidence(host)[-1] == "what is built into /EFI/mine/grubx64.efi leads to /boot/grub"
        return
    with pytest.raises(UnknownBootError, match=problem):
        loaders.find(host.sysfs, host.run)
