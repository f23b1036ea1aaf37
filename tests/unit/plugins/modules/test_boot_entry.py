# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module `boot_entry` on roots with GRUB.

Real: grub-mkconfig, grub-editenv. Played: disks, and programs that fail.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import proven
from tests.fake.boot import kernel
from tests.fake.boot.entry_module import Call, call, files, root
from tests.fake.boot.grub import NEW, OLD, GrubRoot, entry, missing

__all__ = ["call", "root"]
pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not on this machine: {', '.join(missing())}")
OURS = "etc/default/grub.d/zz-kvmfleet-sriov.cfg"


def test_what_starts_is_only_read(root: GrubRoot, call: Call) -> None:
    before = files(root)
    found = call()
    assert (found["changed"], found["loader"], found["evidence"]) == (False, "grub", ["boot sector of GRUB on vda"])
    assert (found["default"]["kernel"], found["default"]["pinned"]) == (f"/boot/vmlinuz-{NEW}", False)
    assert (found["next"], found["on_failure"], found["booted_by"]) == (found["default"], None, "firmware")
    assert found["default"]["initrd"] == [f"/boot/initrd.img-{NEW}"]
    assert files(root) == before


def test_a_default_stays_when_a_newer_kernel_is_installed(root: GrubRoot, call: Call) -> None:
    """GRUB_DEFAULT=0 does not read the environment block, so settings are needed."""
    before = files(root)
    check = call(default=OLD, _ansible_check_mode=True)
    assert files(root) == before
    done = call(default=OLD)
    assert [check["changed"], done["changed"]] == [True, True]
    assert check["diff"] == done["diff"]
    assert done["default"] == check["default"]
    assert (done["default"]["entry"], done["default"]["pinned"]) == (entry(OLD), True)
    again = files(root)
    assert call(default=OLD)["changed"] is False
    assert files(root) == again
    root.install("6.13.1-amd64")
    root.update()
    assert call()["default"]["release"] == OLD
    assert call(after_update=True)["after_update"]["default"]["release"] == OLD


PASSWORD = "grub.pbkdf2.sha512.10000.0123456789ABCDEF.FEDCBA9876543210"
HEAD = "#!/bin/sh\ncat <<'E'\n"


@pytest.mark.parametrize("broken", ["", f"password_pbkdf2 root\n{PASSWORD}\n", f"for {PASSWORD} {PASSWORD}\n"])
def test_a_password_of_grub_is_in_no_answer(root: GrubRoot, call: Call, broken: str) -> None:
    """Nor in a diff or a message."""
    superuser = f'set superusers="root"\npassword_pbkdf2 root {PASSWORD}\n'
    (root.folder / "etc/grub.d/40_custom").write_text(f"{HEAD}{superuser}{broken}E\n")
    assert PASSWORD in root.update()
    asked = call()
    assert (asked["failed"], PASSWORD in json.dumps(asked)) == (True, False)
    assert ("asks for the password of a superuser" in asked["msg"]) is not bool(broken)
    root.settings("GRUB_DISABLE_SUBMENU=y\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\n")
    linux = root.folder / "etc/grub.d/10_linux"
    linux.write_text(linux.read_text().replace("--class os", "--class os --unrestricted"))
    root.update()
    done = call(default=OLD)
    assert bool(done.get("failed")) is bool(broken)
    assert PASSWORD not in json.dumps(done)


def test_a_kernel_that_was_not_seen_to_boot_is_no_default(root: GrubRoot, call: Call) -> None:
    call(default=OLD)
    before = files(root)
    for running, bootloader, problem in ((OLD, 114, f"{OLD} runs"), (NEW, 208, "was started by kexec")):
        root.host(running=running, bootloader=bootloader)
        refused = call(default=NEW)
        assert (refused["failed"], refused["kind"]) == (True, "RefusedError")
        assert problem in refused["msg"]
    root.host(running=NEW)
    (root.folder / "proc/sys/kernel/version").write_text("#1 SMP another build\n")
    assert "with another version" in call(default=NEW)["msg"]
    assert files(root) == before
    root.host(running=NEW)
    assert call(default=NEW)["default"]["release"] == NEW


def test_the_operator_may_say_that_kexec_is_enough(root: GrubRoot, call: Call) -> None:
    call(default=OLD)
    root.host(running=NEW, bootloader=208)
    done = call(default=NEW, allow_unproven=True)
    assert (done["changed"], done["default"]["release"], done["booted_by"]) == (True, NEW, "kexec")


def test_a_kernel_is_tried_once(root: GrubRoot, call: Call) -> None:
    call(default=OLD)
    check = call(once=NEW, _ansible_check_mode=True)
    done = call(once=NEW)
    assert [check["changed"], done["changed"], call(once=NEW)["changed"]] == [True, True, False]
    assert [done["next"]["release"], done["default"]["release"]] == [NEW, OLD]
    assert check["diff"] == done["diff"]
    assert call(default=OLD)["changed"] is False
    taken_back = call(once="")
    assert (taken_back["changed"], taken_back["next"]["release"], call(once="")["changed"]) == (True, OLD, False)


@pytest.mark.parametrize(
    ("kind", "device", "reason"),
    [("btrfs", "sda2", "btrfs"), ("ext4", "dm-0", "no plain partition"), ("ext4", "md0", "no plain partition")],
)
def test_what_grub_could_not_forget_is_not_tried(
    root: GrubRoot, call: Call, kind: str, device: str, reason: str
) -> None:
    call(default=OLD)
    root.host(kind=kind, device=device)
    before = files(root)
    assert reason in call()["no_once"]
    refused = call(once=NEW)
    assert "cannot be tried once" in refused["msg"]
    assert files(root) == before
    root.environment(f"saved_entry={entry(OLD)}", f"next_entry={entry(NEW)}")
    assert call()["default"]["release"] == NEW  # for ever
    assert call(default=NEW, allow_unproven=True)["default"]["release"] == NEW


def test_a_link_to_a_file_system_that_grub_cannot_write(root: GrubRoot, call: Call) -> None:
    call(default=OLD)
    (root.folder / "data").mkdir()
    (root.folder / "boot/grub").rename(root.folder / "data/grub")
    (root.folder / "boot/grub").symlink_to("../data/grub")
    mounts = "1 0 254:16 / / rw - ext4 /dev/vdb rw\n2 1 253:0 / /data rw - ext4 /dev/dm-0 rw\n"
    (root.folder / "proc/self/mountinfo").write_text(mounts)
    (root.folder / "sys/dev/block/253:0").symlink_to("../../block/dm-0")
    assert "GRUB cannot write to /dev/dm-0" in call()["no_once"]
    (root.folder / "proc/self/mountinfo").write_text(mounts.splitlines()[0])
    found = call(once=NEW)
    assert (found["next"]["release"], found["default"]["release"], found["no_once"]) == (NEW, OLD, None)


def test_zfs_is_read_and_nothing_is_tried_there(root: GrubRoot, call: Call) -> None:
    root.on_zfs()
    root.update()
    root.host(kind="zfs")
    done = call(default=OLD, allow_unproven=True)
    assert (done["default"]["kernel"], done["default"]["pinned"]) == (f"/boot/vmlinuz-{OLD}", True)
    before = files(root)
    assert "GRUB cannot write to zfs" in call(once=NEW)["msg"]
    assert files(root) == before


def test_settings_that_win_over_ours_are_refused(root: GrubRoot, call: Call) -> None:
    root.settings("GRUB_DEFAULT=0\n", "etc/default/grub.d/zzz.cfg")
    before = files(root)
    refused = call(default=OLD)
    assert "something in /etc/grub.d or a later file of settings" in refused["msg"]
    assert files(root) == before


def test_a_kernel_without_an_entry(call: Call) -> None:
    assert f"it has: {OLD}, {NEW}" in call(default="6.6.1")["msg"]
    assert call(once="$(reboot)")["kind"] == "BadInputError"


def test_a_kernel_whose_initrd_is_gone(root: GrubRoot, call: Call) -> None:
    (root.folder / f"boot/initrd.img-{OLD}").unlink()
    assert f"needs /boot/initrd.img-{OLD}, which does not exist" in call(default=OLD)["msg"]


def custom(root: GrubRoot, text: str) -> None:
    """Lines of /boot/grub/custom.cfg, which 41_custom reads."""
    (root.folder / "boot/grub/custom.cfg").write_text(text)


def not_mounted(root: GrubRoot) -> None:
    (root.folder / "etc/fstab").write_text("/dev/sda1 /boot ext4 rw 0 2\n")


def other_folder(root: GrubRoot) -> None:
    (root.folder / "boot/grub2").mkdir()
    (root.folder / "boot/grub2/grub.cfg").write_text("")


def linked_block(root: GrubRoot) -> None:
    (root.folder / "boot/grub/grubenv").unlink()
    (root.folder / "boot/grub/grubenv").symlink_to("../efi/EFI/debian/grubenv")


def no_boot_sector(root: GrubRoot) -> None:
    (root.folder / "dev/vda").write_bytes(bytes(512))


def damaged_block(root: GrubRoot) -> None:
    (root.folder / "boot/grub/grubenv").write_bytes(b"saved_entry=0\n")


DAMAGED: dict[str, tuple[Callable[[GrubRoot], None], str]] = {
    "no boot sector": (no_boot_sector, "no boot sector of GRUB on vda, vdb"),
    "/boot is not mounted": (not_mounted, "/etc/fstab has /boot, which is not mounted: mount /boot"),
    "two folders": (other_folder, "2 exist, expected one"),
    "a damaged environment block": (damaged_block, "it is no environment block"),
    "an environment block on the ESP": (linked_block, "is a link"),
}
MOVES = """load_env
if [ "$turn" = 1 ]; then set default=0; set turn=; else set default='1>2'; set turn=1; fi
save_env turn
"""
X, Y = (f"menuentry {name} {{ true\n}}\n" for name in "xy")
SOMETIMES = f"if cpuid -l; then\n{X}fi\n"
NOT_KNOWN = {
    "entries of another tool": ("blscfg", "command 'blscfg' is not understood"),
    "a default by a key": ("if keystatus --shift; then set default=1; fi", "depends on what only the boot shows"),
    "a menu by the machine": (f"if cpuid -l; then\n{X} else\n{Y} fi", "the menu depends on what only the boot"),
    "a number behind an entry by the machine": (f"{SOMETIMES}{Y}set default=9", "whether 'x' is among those before it"),
    "the name of an entry by the machine": (f"{SOMETIMES}set default=x", "whether the menu has entry 'x' depends"),
    "a file that is not there": ("source /boot/grub/more.cfg", "which is not read"),
    "a name that is a number": ("set default=6.1.0", "some versions of GRUB"),
    "a quote": ("set default='", "a quote is not closed"),
    "a loop": ("function f { f\n}\nf", "functions or files in one another"),
    "a password": ("set superusers=root", "asks for the password"),
    "a password of nobody": ("set superusers=", "asks for the password"),
    "a regular expression of POSIX": ("regexp --set=1:x '^([[:digit:]])' 1", "pattern"),
    "a start before the menu": (f"linux /boot/vmlinuz-{NEW}\nboot", "before there is a menu"),
    "another menu": ("configfile /boot/grub/more.cfg", "shows another menu"),
    "a default that moves": (MOVES, "moves with each boot"),
}
UNKNOWN = DAMAGED | {
    name: (lambda root, text=text: custom(root, text + "\n"), words) for name, (text, words) in NOT_KNOWN.items()
}


def test_an_entry_that_only_the_boot_shows_is_no_choice(root: GrubRoot, call: Call) -> None:
    """Debian 13 has one for settings of the firmware.

    Those before it stay as they are, and so do names.
    """
    custom(root, SOMETIMES.replace("true", f"linux /boot/vmlinuz-{OLD}") + Y)
    assert call(default=OLD)["default"]["entry"] == entry(OLD)


def test_the_wanted_default_is_kept(root: GrubRoot, call: Call) -> None:
    """It counts as proven: it was the default before."""
    assert call()["wanted"] is None
    call(default=OLD)
    assert call()["wanted"] == {"kernel": f"/boot/vmlinuz-{OLD}", "release": OLD, "build": kernel.version(OLD)}
    root.environment(f"saved_entry={entry(NEW)}")
    found = call(keep=True)
    assert (found["changed"], found["wanted"]["release"], found["default"]["release"]) == (False, OLD, NEW)
    root.host(running=NEW, bootloader=208)
    assert call(default=OLD)["default"]["release"] == OLD
    (root.folder / "var/lib/kvmfleet-sriov/boot/default.json").unlink()
    assert [call(keep=True, _ansible_check_mode=True)["changed"], call(keep=True)["changed"]] == [True, True]
    assert call()["wanted"]["release"] == OLD


ANOTHER = kernel.image(OLD).replace(b"#1 SMP", b"#2 SMP")


@pytest.mark.parametrize("default", [OLD, NEW])
def test_another_build_in_the_place_of_the_wanted_default_has_shown_nothing(
    root: GrubRoot, call: Call, default: str
) -> None:
    """It is a build that is kept, not a file."""
    call(default=OLD)
    (root.folder / "var/lib/kvmfleet-sriov/boot/proven.json").unlink(missing_ok=True)
    (root.folder / f"boot/vmlinuz-{OLD}").write_bytes(ANOTHER)
    root.environment(f"saved_entry={entry(default)}")
    root.host(running=NEW)
    assert [call()["replaced"], call(keep=True)["replaced"]] == [True, True]
    assert f"kernel {OLD} has not shown that it boots" in call(default=OLD)["msg"]
    done = call(default=OLD, allow_unproven=True)
    assert (done["default"]["release"], done["replaced"]) == (OLD, False)
    root.environment(f"saved_entry={entry(NEW)}")
    assert call(default=OLD)["default"]["release"] == OLD  # accepted


def test_a_default_that_was_kept_without_its_build_gets_it(root: GrubRoot, call: Call) -> None:
    call(default=OLD)
    kept = root.folder / "var/lib/kvmfleet-sriov/boot/default.json"
    kept.write_text(json.dumps({"kernel": f"/boot/vmlinuz-{OLD}", "release": OLD}))
    assert (call()["wanted"]["build"], call(keep=True)["wanted"]["build"]) == ("", kernel.version(OLD))


def test_the_default_can_be_held_to_the_build_that_runs(root: GrubRoot, call: Call) -> None:
    """After a kexec of another file of the same release."""
    root.host(running=NEW, bootloader=208)
    (root.folder / "proc/sys/kernel/version").write_text("#7 SMP loaded from elsewhere\n")
    before = files(root)
    refused = call(default=NEW, allow_unproven=True, running=True)
    assert f"/boot/vmlinuz-{NEW} is not the build that runs ({NEW} #7 SMP loaded from elsewhere)" in refused["msg"]
    assert files(root) == before
    root.host(running=NEW, bootloader=208)
    done = call(default=NEW, allow_unproven=True, running=True)
    assert (done["default"]["release"], done["runs"]) == (NEW, True)
    root.host(running=OLD)
    assert (call()["runs"], call()["by_kexec"]) == (False, None)
    (root.folder / "sys/kernel").mkdir()
    (root.folder / "sys/kernel/kexec_loaded").write_text("1\n")
    assert "a kernel is loaded for kexec, and a reboot may start that" in call()["by_kexec"]


@pytest.mark.parametrize(("damage", "words"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_an_unknown_answer_is_refused_and_nothing_changed(
    root: GrubRoot, call: Call, damage: Callable[[GrubRoot], object], words: str
) -> None:
    damage(root)
    before = files(root)
    for arguments in ({}, {"default": OLD}, {"once": OLD}):
        refused = call(**arguments)
        assert (refused.get("failed"), refused.get("kind")) == (True, "UnknownBootError"), refused
        assert words in refused["msg"]
    assert files(root) == before


def test_a_kernel_of_another_system_is_none_of_ours(root: GrubRoot, call: Call) -> None:
    custom(
        root,
        "set default=other\nmenuentry Other --id other {\nsearch --fs-uuid --set=root aaaa-bbbb\n"
        f"linux /boot/vmlinuz-{OLD}\n}}\n",
    )
    found = call()["default"]
    assert (found["entry"], found["kernel"], found["release"]) == ("other", None, None)


def test_the_block_has_the_size_that_grub_needs(root: GrubRoot, call: Call) -> None:
    (root.folder / "boot/grub/grubenv").unlink()
    done = call(default=OLD)
    assert done.get("changed"), done
    block = root.folder / "boot/grub/grubenv"
    assert block.stat().st_size == 1024
    assert (
        f"saved_entry={entry(OLD)}"
        in subprocess.run(["grub-editenv", block, "list"], capture_output=True, text=True, check=True).stdout
    )


@pytest.mark.parametrize("seen_before", [False, True])
def test_the_default_is_the_command_line_that_was_booted(root: GrubRoot, call: Call, seen_before: bool) -> None:
    """Where no trial has compared them."""
    call(default=OLD)
    if seen_before:
        proven.add(root.host(running=NEW), kernel.version(NEW), NEW, proven.BY_FIRMWARE)
    root.settings('GRUB_DEFAULT=saved\nGRUB_DISTRIBUTOR=Debian\nGRUB_CMDLINE_LINUX="iommu=pt panic=30"\n')
    root.update()
    root.host(running=NEW)
    refused = call(default=NEW)
    assert f"kernel {NEW} was started without iommu=pt panic=30, which entry {entry(NEW)} has" in refused["msg"]
    assert call()["default"]["release"] == OLD
    line = root.folder / "proc/cmdline"
    line.write_text(f"{line.read_text().strip()} panic=30 iommu=pt\n")
    assert call(default=NEW)["default"]["release"] == NEW


def test_an_operator_may_take_another_command_line(root: GrubRoot, call: Call) -> None:
    call(default=OLD)
    root.settings("GRUB_DEFAULT=saved\nGRUB_DISTRIBUTOR=Debian\nGRUB_CMDLINE_LINUX=iommu=pt\n")
    root.update()
    root.host(running=NEW)
    assert call(default=NEW, allow_unproven=True)["default"]["release"] == NEW


HAND_WRITTEN = """set root=(hd1)
load_env
set default="${saved_entry}"
if [ "${next_entry}" ]; then
	set default="${next_entry}"
	set next_entry=
	save_env next_entry
fi
set timeout=0
set arguments="root=/dev/vdb rw $extra_arguments"
for image in /boot/vmlinuz-*; do
	regexp --set=1:release '^/boot/vmlinuz-(.*)$' "$image"
	menuentry "Linux $release" --id "linux-$release" "$release" {
		linux /boot/vmlinuz-$2 $arguments
		if [ -e /boot/initrd.img-$2 ]; then initrd /boot/initrd.img-$2; fi
	}
done
"""


def test_a_configuration_that_was_written_by_hand(root: GrubRoot, call: Call) -> None:
    """With a loop over files, and entries' arguments."""
    (root.folder / "boot/grub/grub.cfg").write_text(HAND_WRITTEN)
    root.environment()
    assert "entries were made in the order of a folder on disk" in call()["msg"]
    root.environment(f"saved_entry=linux-{OLD}")
    found = call(default=NEW, allow_unproven=True)
    assert (found["default"]["entry"], found["default"]["pinned"]) == (f"linux-{NEW}", True)
    assert not (root.folder / OURS).exists()
    assert call(once=OLD)["next"]["release"] == OLD
