# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ESPs of proxmox-boot-tool: what they start, and setting it.

Played: the tool, by its source; ESPs, firmware. A real Proxmox was not tried.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import esp_child, loaders, proof
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.efi import LOADER
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.loader_entries import parse_text
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.unknown import UnknownBootError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import RefusedError, VerifyError
from tests.fake.boot import kernel
from tests.fake.boot.proxmox import FIRST, NEXT_PIN, PIN, SECOND, ProxmoxHost

OLD, NEW, NEWEST = "6.5.13-6-pve", "6.8.4-2-pve", "6.8.12-5-pve"


@pytest.fixture(params=[False, True], ids=["systemd-boot", "GRUB"])
def host(tmp_path: Path, request: pytest.FixtureRequest) -> ProxmoxHost:
    return ProxmoxHost.make(tmp_path, OLD, NEW, grub=request.param)


@pytest.fixture
def systemd_boot(tmp_path: Path) -> ProxmoxHost:
    return ProxmoxHost.make(tmp_path, OLD, NEW)


def test_without_a_pin_the_newest_starts_and_is_not_pinned(systemd_boot: ProxmoxHost) -> None:
    systemd_boot.efi.write(f"boot/vmlinuz-{NEWEST}", kernel.image(NEWEST))
    systemd_boot.efi.write(f"boot/initrd.img-{NEWEST}", "initrd")
    systemd_boot.refresh()
    answer = loaders.find(systemd_boot.sysfs, systemd_boot.run).answer()
    assert (answer.loader, answer.default.release, answer.default.pinned) == ("proxmox-boot-tool", NEWEST, False)
    assert answer.default.kernel == f"/boot/vmlinuz-{NEWEST}"


def test_a_pin_is_set_on_every_esp_and_read_back(host: ProxmoxHost) -> None:
    loader = loaders.find(host.sysfs, host.run)
    loader.set_default(loader.answer().choice(OLD))
    answer = loader.answer()
    assert (answer.default.kernel, answer.default.pinned) == (f"/boot/vmlinuz-{OLD}", True)
    assert answer.default.initrd == (f"/boot/initrd.img-{OLD}",)
    assert (host.folder / PIN).read_text() == f"{OLD}\n"
    assert ["proxmox-boot-tool", "refresh"] in host.efi.calls
    assert sum(call[0] == "unshare" and call[-2] == "/dev/sdb1" for call in host.efi.calls) >= 2
    host.efi.write("proc/sys/kernel/version", kernel.version(OLD))
    assert proof.doubt(host.sysfs, answer.default) is None


@pytest.mark.parametrize("before", [None, OLD])
def test_an_esp_that_the_tool_skips_is_seen_and_the_pin_is_as_before(host: ProxmoxHost, before: str | None) -> None:
    """The tool warns and ends with 0."""
    loader = loaders.find(host.sysfs, host.run)
    if before:
        loader.set_default(loader.answer().choice(before))
    wanted = loader.answer().choice(NEW if before else OLD)
    host.skipped = (SECOND,)
    with pytest.raises(UnknownBootError, match=f"ESP {SECOND} starts"):
        loader.set_default(wanted)
    found = (host.folder / PIN).read_text().strip() if (host.folder / PIN).exists() else None
    assert found == before
    assert loader.answer().default.release == (before or loader.answer().default.release)


def test_a_tool_that_does_nothing_is_seen(host: ProxmoxHost) -> None:
    loader = loaders.find(host.sysfs, host.run)
    loader.set_default(loader.answer().choice(NEW))
    host.skipped = (FIRST, SECOND)
    with pytest.raises(VerifyError, match="ended well, but"):
        loader.set_default(loader.answer().choice(OLD))
    assert (host.folder / PIN).read_text() == f"{NEW}\n"


def test_a_kernel_is_tried_once_by_systemd_boot(systemd_boot: ProxmoxHost) -> None:
    loader = loaders.find(systemd_boot.sysfs, systemd_boot.run)
    with pytest.raises(RefusedError, match="pin the kernel that is to stay first"):
        loader.set_once(loader.answer().choice(NEW))
    loader.set_default(loader.answer().choice(OLD))
    loader.set_once(loader.answer().choice(NEW))
    answer = loader.answer()
    assert (answer.next.release, answer.default.release) == (NEW, OLD)
    (systemd_boot.folder / f"sys/firmware/efi/efivars/LoaderEntryOneShot-{LOADER}").unlink()  # as systemd-boot does
    assert loader.answer().next.release == OLD
    loader.set_once(loader.answer().choice(NEW))
    loader.set_once(None)
    assert loader.answer().next.release == OLD


def test_grub_on_esps_cannot_try_once(tmp_path: Path) -> None:
    host = ProxmoxHost.make(tmp_path, OLD, NEW, grub=True)
    loader = loaders.find(host.sysfs, host.run)
    loader.set_default(loader.answer().choice(OLD))
    with pytest.raises(RefusedError, match="taken back by the started system alone"):
        loader.set_once(loader.answer().choice(NEW))
    assert not (host.folder / NEXT_PIN).exists()


def test_a_pin_for_the_next_boot_is_no_pinned_default(host: ProxmoxHost) -> None:
    """The started system takes it back, the boot loader does not."""
    loader = loaders.find(host.sysfs, host.run)
    loader.set_default(loader.answer().choice(OLD))
    host.run(["proxmox-boot-tool", "kernel", "pin", NEW, "--next-boot"])
    host.run(["proxmox-boot-tool", "refresh"])
    answer = loader.answer()
    assert (answer.next.release, answer.default.release, answer.default.pinned) == (NEW, NEW, False)


def another_kernel(host: ProxmoxHost) -> None:
    host.efi.write(f"boot/vmlinuz-{NEW}", kernel.image(f"{NEW}-again"))


def another_initrd(host: ProxmoxHost) -> None:
    host.efi.write(f"boot/initrd.img-{NEW}", "another initrd")


def gone(host: ProxmoxHost) -> None:
    (host.folder / f"dev/disk/by-uuid/{SECOND}").unlink()


def strange(host: ProxmoxHost) -> None:
    host.efi.write("etc/kernel/proxmox-boot-uuids", "../../etc\n")


def empty(host: ProxmoxHost) -> None:
    for name in ("grub/grub.cfg", "loader/loader.conf"):
        (host.folder / "esps" / SECOND / name).unlink(missing_ok=True)


NOT_KNOWN: dict[Callable[[ProxmoxHost], None], str] = {
    another_kernel: f"has another vmlinuz-{NEW} than /boot: proxmox-boot-tool refresh",
    another_initrd: f"has another initrd.img-{NEW} than /boot",
    gone: f"ESP {SECOND} .* is not there",
    strange: "is no UUID of an ESP",
    empty: "proxmox-boot-tool reinit",
}


@pytest.mark.parametrize("change", NOT_KNOWN)
def test_what_is_not_known(host: ProxmoxHost, change: Callable[[ProxmoxHost], None]) -> None:
    change(host)
    with pytest.raises(UnknownBootError, match=NOT_KNOWN[change]):
        loaders.find(host.sysfs, host.run).answer()


def test_an_esp_that_the_tool_does_not_keep(systemd_boot: ProxmoxHost) -> None:
    systemd_boot.efi.write("etc/kernel/proxmox-boot-uuids", f"{SECOND}\n")
    with pytest.raises(UnknownBootError, match="was started from sda1, no ESP of"):
        loaders.find(systemd_boot.sysfs, systemd_boot.run)


def test_a_bios_needs_grub_on_a_disk_with_an_esp(tmp_path: Path) -> None:
    host = ProxmoxHost.make(tmp_path, OLD, NEW, grub=True)
    (tmp_path / "sys/firmware/efi").rename(tmp_path / "efi")
    for disk, sector in (("sda", bytes(512)), ("sdb", b"GRUB \0Geom\0".ljust(512, b"\0"))):
        host.efi.write(f"sys/block/{disk}/size", "1")
        host.efi.write(f"dev/{disk}", sector)
    assert "sdb" in loaders.find(host.sysfs, host.run).answer().evidence[0]
    host.efi.write("dev/sdb", bytes(512))
    with pytest.raises(UnknownBootError, match="no disk with an ESP"):
        loaders.find(host.sysfs, host.run)


def test_an_esp_that_is_mounted_is_read_there(systemd_boot: ProxmoxHost) -> None:
    systemd_boot.efi.write("proc/self/mountinfo", f"1 0 8:1 / /esps/{FIRST} rw - vfat /dev/sda1 rw\n")
    loaders.find(systemd_boot.sysfs, systemd_boot.run).answer()
    assert [call[-2] for call in systemd_boot.efi.calls if call[0] == "unshare"] == ["/dev/sdb1"]


def test_copies_show_sizes_and_versions(tmp_path: Path) -> None:
    (tmp_path / "esp/EFI").mkdir(parents=True)
    (tmp_path / "esp/EFI/vmlinuz-1").write_bytes(kernel.image(NEW).ljust(300_000, b"k"))
    (tmp_path / "esp/loader.conf").write_text("default a\n" * 10_000)
    esp_child.copy(str(tmp_path / "esp"), str(tmp_path / "copy"))
    assert (tmp_path / "copy/EFI/vmlinuz-1").stat().st_size == 300_000
    assert (tmp_path / "copy/EFI/vmlinuz-1").read_bytes()[:1000] == kernel.image(NEW)[:1000]
    assert (tmp_path / "copy/loader.conf").read_text() == "default a\n" * 10_000


@pytest.mark.parametrize(
    ("name", "id_", "tries"), [("a-6.conf", "a-6.conf", None), ("a+3.conf", "a.conf", 3), ("a+2-1.conf", "a.conf", 2)]
)
def test_entries_of_the_specification(name: str, id_: str, tries: int | None) -> None:
    found = parse_text(name, "# x\ntitle  A\nlinux\t/l\ninitrd /i\ninitrd /j\noptions a\noptions b\n", "/esp")
    assert (found.id, found.tries_left, found.linux, found.initrd) == (id_, tries, "/l", ("/i", "/j"))
    assert (found.title, found.options) == ("A", "a b")
