# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot loaders of hosts with UEFI.

Which one it is, and systemd-boot's answers. Played: firmware, ESP and bootctl; the real ones are in `test_ovmf_boots`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import efi_options, loaders
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.unknown import UnknownBootError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import VerifyError
from tests.fake.boot.efi import PART, EfiHost, load_option

OLD, NEW = "6.1.0-18-amd64", "6.12.9-kvmfleet1"


@pytest.fixture
def host(tmp_path: Path) -> EfiHost:
    """A host with systemd-boot, the newer kernel first in its menu."""
    made = EfiHost.make(tmp_path, r"\EFI\systemd\systemd-bootx64.efi")
    made.variable("LoaderInfo", "systemd-boot 252.38-1~deb12u1")
    made.variable("LoaderDevicePartUUID", PART.upper())
    made.kernel(NEW)
    made.kernel(OLD)
    return made


def test_the_first_entry_starts_unless_something_is_set(host: EfiHost) -> None:
    loader = loaders.find(host.sysfs, host.run)
    assert loader.name == "systemd-boot"
    answer = loader.answer()
    assert (answer.next.release, answer.default.release, answer.default.pinned) == (NEW, NEW, False)
    assert answer.default.kernel == f"/boot/efi/m/{NEW}/linux"
    assert answer.evidence == ("LoaderInfo: systemd-boot 252.38-1~deb12u1",)


@pytest.mark.parametrize(
    ("conf", "variable", "once", "expected", "pinned"),
    [
        (f"default m-{OLD}.conf\n", None, None, (OLD, OLD), True),
        ("timeout 3\ndefault m-6.1.*\n", None, None, (OLD, OLD), False),
        ("#default m-6.1.*\n", None, None, (NEW, NEW), False),
        (f"default m-{NEW}.conf\ndefault M-{OLD}.CONF\n", None, None, (OLD, OLD), True),
        ("default gone-*\n", None, None, (NEW, NEW), False),
        (f"default m-{NEW}.conf\n", f"m-{OLD}.conf", None, (OLD, OLD), True),
        (f"default m-{OLD}.conf\n", None, f"m-{NEW}.conf", (NEW, OLD), True),
    ],
)
def test_what_was_set(
    host: EfiHost, conf: str, variable: str | None, once: str | None, expected: tuple[str, str], pinned: bool
) -> None:
    host.write("boot/efi/loader/loader.conf", conf)
    for name, value in (("LoaderEntryDefault", variable), ("LoaderEntryOneShot", once)):
        if value is not None:
            host.variable(name, value)
    answer = loaders.find(host.sysfs, host.run).answer()
    assert (answer.next.release, answer.default.release) == expected
    assert answer.default.pinned is pinned


def test_setting_both(host: EfiHost) -> None:
    loader = loaders.find(host.sysfs, host.run)
    loader.set_default(loader.answer().choice(OLD))
    loader.set_once(loader.answer().choice(NEW))
    answer = loader.answer()
    assert (answer.next.release, answer.default.release, answer.default.pinned) == (NEW, OLD, True)
    loader.set_once(None)
    assert loader.answer().next.release == OLD


@pytest.mark.parametrize(
    ("options", "pinned"), [('dyndbg="file  single.c; single +p" quiet', True), ("dyndbg=x single", False)]
)
def test_quoted_words_of_an_entry_stay_one_word(host: EfiHost, options: str, pinned: bool) -> None:
    """The command line is the entry's text; for rescue, no default."""
    host.entries[0]["options"] = options
    host.variable("LoaderEntryDefault", f"m-{NEW}.conf")
    found = loaders.find(host.sysfs, host.run).answer().default
    assert (found.command_line, found.pinned) == (options, pinned)


def test_an_entry_that_is_counted_falls_back(host: EfiHost) -> None:
    host.entries.insert(0, {**host.entries[1], "id": "m-6.13.conf", "version": "6.13", "triesLeft": 3})
    answer = loaders.find(host.sysfs, host.run).answer()
    assert answer.on_failure is not None
    assert answer.on_failure.release == NEW
    host.variable("LoaderEntryDefault", "m-6.1*.conf")
    answer = loaders.find(host.sysfs, host.run).answer()
    assert answer.on_failure is not None
    assert answer.on_failure.release == NEW
    host.variable("LoaderEntryDefault", "m-6.13.conf")
    assert loaders.find(host.sysfs, host.run).answer().on_failure is None  # by its name it starts, counted or not


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LoaderEntryDefault", "@saved", "is @saved"),
        ("LoaderDevicePartUUID", "cccc", "does not say which partition"),
        ("LoaderInfo", "rEFInd 0.14", "LoaderInfo says rEFInd"),
    ],
)
def test_what_is_not_known(host: EfiHost, name: str, value: str, words: str) -> None:
    host.variable(name, value)
    with pytest.raises(UnknownBootError, match=words):
        loaders.find(host.sysfs, host.run).answer()


def test_two_readings_that_differ(host: EfiHost) -> None:
    """bootctl of newer versions says itself what is the default."""
    host.entries[1]["isDefault"] = True
    with pytest.raises(UnknownBootError, match="its rules lead to"):
        loaders.find(host.sysfs, host.run).answer()


@pytest.mark.parametrize("answer", ["", "[1]", "{}", "no"])
def test_a_bootctl_that_answers_otherwise(host: EfiHost, answer: str) -> None:
    with pytest.raises(UnknownBootError, match="bootctl list"):
        loaders.find(host.sysfs, lambda argv: answer).answer()


def test_firmware_that_does_not_take_a_variable(host: EfiHost) -> None:
    loader = loaders.find(host.sysfs, lambda argv: host.run(argv) if argv[1] == "list" else "")
    with pytest.raises(VerifyError, match="ended well, but m-6"):
        loader.set_default(loader.answer().choice(OLD))


def test_an_esp_that_is_not_mounted(host: EfiHost) -> None:
    host.write("proc/self/mountinfo", "1 0 8:2 / / rw - ext4 /dev/sda2 rw\n")
    with pytest.raises(UnknownBootError, match="is not mounted"):
        loaders.find(host.sysfs, host.run).answer()


STUB = "search.fs_uuid {} root hd0,gpt2 \nset prefix=($root)'{}'\nconfigfile $prefix/grub.cfg\n"


@pytest.mark.parametrize(
    ("stub", "words"),
    [
        (None, None),
        (STUB.format("1111-2222", "/boot/grub"), None),
        (STUB.format("9999-0000", "/boot/grub"), "leads to /boot/grub of file system 9999-0000"),
        (STUB.format("1111-2222", "/grub"), "leads to /grub"),
        ("configfile (hd0,gpt9)/grub/grub.cfg\n", "is not understood"),
    ],
)
def test_the_folder_of_a_signed_grub(tmp_path: Path, stub: str | None, words: str | None) -> None:
    host = EfiHost.make(tmp_path, r"\EFI\debian\shimx64.efi")
    host.write("boot/grub/grub.cfg", "")
    (tmp_path / "dev/disk/by-uuid/1111-2222").symlink_to("../../sda2")
    if stub is not None:
        host.write("boot/efi/EFI/debian/grub.cfg", stub)
    if words is None:
        assert loaders.find(host.sysfs, host.run).name == "grub"
    else:
        with pytest.raises(UnknownBootError, match=words):
            loaders.find(host.sysfs, host.run)


def test_firmware_that_started_something_else(tmp_path: Path) -> None:
    host = EfiHost.make(tmp_path, r"\EFI\Linux\linux.efi")
    host.write("boot/grub/grub.cfg", "")
    with pytest.raises(UnknownBootError, match="the firmware started /EFI/Linux/linux"):
        loaders.find(host.sysfs, host.run)


@pytest.mark.parametrize("option", [b"", b"\1\0\0\0", load_option("x", "")[:20], bytes(500)])
def test_load_options_that_name_nothing(option: bytes) -> None:
    found = efi_options.parse(3, option)
    assert found is None or found.file is None


@pytest.mark.parametrize("command", ["set-default", "set-oneshot"])
def test_everything_is_as_before_where_the_answer_is_not_known_any_more(host: EfiHost, command: str) -> None:
    """After bootctl has set the variable."""
    host.variable("LoaderEntryDefault", f"m-{OLD}.conf")
    loader = loaders.find(host.sysfs, host.run)
    start = loader.answer().choice(NEW)
    host.entries.insert(0, {**host.entries[0], "id": "m-6.13.conf", "isDefault": True})
    with pytest.raises(UnknownBootError):
        (loader.set_default if command == "set-default" else loader.set_once)(start)
    del host.entries[0]
    answer = loader.answer()
    assert (answer.next.release, answer.default.release) == (OLD, OLD)


SECOND = "cccccccc-1111-2222-3333-dddddddddddd"


def two_esps(folder: Path, mounted: bool) -> EfiHost:
    """The firmware has started GRUB from the second one."""
    host = EfiHost.make(folder, r"\EFI\debian\grubx64.efi", partition=SECOND)
    rows = "1 0 8:2 / / rw - ext4 /dev/sda2 rw\n2 1 8:1 / /boot/efi rw - vfat /dev/sda1 rw\n"
    host.write("proc/self/mountinfo", rows + ("3 1 8:17 / /boot/efi2 rw - vfat /dev/sdb1 rw\n" if mounted else ""))
    names = {f"dev/disk/by-partuuid/{SECOND}": "../../sdb1", "sys/dev/block/8:17": "../../block/sdb/sdb1"}
    for name, target in names.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)
    host.write("boot/grub/grub.cfg", "set timeout=0\n")
    (folder / "dev/disk/by-uuid/aaaa-own").symlink_to("../../sda2")
    stub = "search.fs_uuid {} root\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n"
    host.write("boot/efi/EFI/debian/grub.cfg", stub.format("aaaa-own"))
    host.write("boot/efi2/EFI/debian/grub.cfg" if mounted else "elsewhere", stub.format("bbbb-other"))
    return host


@pytest.mark.parametrize(
    ("mounted", "words"),
    [
        (True, "/boot/efi2/EFI/debian/grub.cfg leads to /boot/grub of file system bbbb-other"),
        (False, "mount /dev/sdb1"),
    ],
)
def test_the_esp_that_counts_is_the_one_that_was_started_from(tmp_path: Path, mounted: bool, words: str) -> None:
    host = two_esps(tmp_path, mounted)
    with pytest.raises(UnknownBootError, match=words):
        loaders.find(host.sysfs, host.run)


def test_a_second_esp_may_lead_to_this_system(tmp_path: Path) -> None:
    host = two_esps(tmp_path, True)
    other = tmp_path / "boot/efi2/EFI/debian/grub.cfg"
    other.write_text(other.read_text().replace("bbbb-other", "aaaa-own"))
    found = loaders.find(host.sysfs, host.run)
    assert found.name == "grub"
