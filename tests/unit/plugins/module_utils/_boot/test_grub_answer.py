# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers about grub.cfg, against the kernel that GRUB starts.

The real grub-mkconfig writes each grub.cfg, the real GRUB reads it under TCG; kernels are played.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import grub_reading
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.answer import Answer
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.grub import Grub
from tests.fake.boot.grub import ADVANCED, NEW, OLD, SIMPLE, UUID, GrubRoot, entry, missing
from tests.fake.boot.loader_files import MKFS_BTRFS, ZFS_FUSE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"not on this machine: {', '.join(missing())}"),
]
TITLE = "Debian GNU/Linux, with Linux"
SUBMENU = "Advanced options for Debian GNU/Linux"
FORMS: dict[str, tuple[str, str, bool]] = {
    # settings of grub-mkconfig, saved_entry, whether the default is pinned
    "nothing": ("", "", False),
    "a number": ("GRUB_DEFAULT=1\n", "", False),
    "a number that is too high": ("GRUB_DEFAULT=17\n", "", False),
    "a number in octal": ("GRUB_DEFAULT='1>02'\n", "", False),
    "a path of numbers": ('GRUB_DEFAULT="1>2"\n', "", False),
    "a path of numbers, 1>0": ('GRUB_DEFAULT="1>0"\n', "", False),
    "a submenu by its name, an entry by its number": (f'GRUB_DEFAULT="{ADVANCED}>2"\n', "", False),
    "an id": (f'GRUB_DEFAULT="{entry(OLD)}"\n', "", True),
    "an id without its submenu": (f"GRUB_DEFAULT=gnulinux-{OLD}-advanced-{UUID}\n", "", False),
    "the submenu alone": (f"GRUB_DEFAULT={ADVANCED}\n", "", False),
    "the submenu's title alone": (f'GRUB_DEFAULT="{SUBMENU}"\n', "", False),
    "titles": (f'GRUB_DEFAULT="{SUBMENU}>{TITLE} {OLD}"\n', "", True),
    "a title of old": (f'GRUB_DEFAULT="{TITLE} {OLD}"\n', "", False),
    "the title of the newest": ('GRUB_DEFAULT="Debian GNU/Linux"\n', "", False),
    "the id of the newest": (f"GRUB_DEFAULT={SIMPLE}\n", "", False),
    "saved, an id": ("GRUB_DEFAULT=saved\n", entry(OLD), True),
    "saved, a number": ("GRUB_DEFAULT=saved\n", "1>2", False),
    "saved, nothing": ("GRUB_DEFAULT=saved\n", "", False),
    "saved, an id that is gone": ("GRUB_DEFAULT=saved\n", entry("6.1.0-7-amd64"), False),
    "saved, not asked for": ("GRUB_DEFAULT=0\n", entry(OLD), False),
    "twice, the last counts": ("GRUB_DEFAULT=saved\nGRUB_DEFAULT=0\n", entry(OLD), False),
    "a later export": ("GRUB_DEFAULT=saved\nexport GRUB_DEFAULT=0\n", entry(OLD), False),
    "without submenus": (f'GRUB_DISABLE_SUBMENU=y\nGRUB_DEFAULT="gnulinux-{OLD}-advanced-{UUID}"\n', "", True),
    "without submenus, a path with one": (f'GRUB_DISABLE_SUBMENU=y\nGRUB_DEFAULT="{entry(OLD)}"\n', "", False),
    "savedefault": ("GRUB_DEFAULT=saved\nGRUB_SAVEDEFAULT=true\n", entry(OLD), True),
    "savedefault of a number": ("GRUB_DEFAULT=saved\nGRUB_SAVEDEFAULT=true\n", "1>2", True),
    "no recovery entries": ('GRUB_DISABLE_RECOVERY=true\nGRUB_DEFAULT="1>1"\n', "", False),
    "quotes": (f"GRUB_DEFAULT='gnulinux-advanced-{UUID}'\">gnulinux-{OLD}-advanced-{UUID}\"\n", "", True),
}


def root_of(folder: Path, settings: str, saved: str) -> GrubRoot:
    root = GrubRoot.make(folder)
    root.settings("GRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\n" + settings)
    root.update()
    root.environment(*([f"saved_entry={saved}"] if saved else []))
    return root


def answer_of(root: GrubRoot) -> Answer:
    return grub_reading.read(root.host(), "/boot/grub").answer(())


@pytest.mark.parametrize(("settings", "saved", "pinned"), FORMS.values(), ids=FORMS.keys())
def test_the_kernel_that_grub_starts(tmp_path: Path, settings: str, saved: str, pinned: bool) -> None:
    root = root_of(tmp_path / "root", settings, saved)
    answer = answer_of(root)
    assert (answer.next.kernel, answer.default.missing) == (answer.default.kernel, ())
    disk = root.disk()
    started = disk.start()
    assert answer.default.release == started
    assert answer.default.kernel == f"/boot/vmlinuz-{started}"
    assert answer.default.pinned is pinned


@pytest.mark.parametrize("form", ["nothing", "a number", "a path of numbers", "an id", "titles", "saved, an id"])
def test_an_entry_that_only_the_boot_shows_changes_nothing_before_it(tmp_path: Path, form: str) -> None:
    settings, saved, pinned = FORMS[form]
    root = GrubRoot.make(tmp_path / "root")
    root.firmware_entry()
    root.settings("GRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\n" + settings)
    assert "fwsetup --is-supported" in root.update()
    root.environment(*([f"saved_entry={saved}"] if saved else []))
    answer = answer_of(root)
    assert (answer.default.release, answer.default.pinned) == (root.disk().start(), pinned)


def test_a_kernel_tried_once(tmp_path: Path) -> None:
    root = root_of(tmp_path / "root", "GRUB_DEFAULT=saved\n", entry(OLD))
    root.environment(f"saved_entry={entry(OLD)}", f"next_entry={entry(NEW)}")
    answer = answer_of(root)
    assert (answer.next.release, answer.default.release, answer.no_once) == (NEW, OLD, None)
    disk = root.disk()
    assert [disk.start(), disk.start()] == [NEW, OLD]


def trial(folder: Path, settings: str = "", words: tuple[str, ...] = ()) -> GrubRoot:
    """A root with OLD as its default and NEW tried once."""
    root = root_of(folder, f"GRUB_DEFAULT=saved\n{settings}", entry(OLD))
    grub = Grub(root.host(), root.run, "/boot/grub", ())
    grub.set_once(grub.answer().choice(NEW), words)
    answer = grub.answer()
    assert (answer.next.release, answer.default.release) == (NEW, OLD)
    assert answer.on_failure is not None
    assert (answer.next.entry, answer.on_failure.release) == (f"kvmfleet-try-{NEW}", OLD)
    return root


def test_entries_of_ours_are_tried_once(tmp_path: Path) -> None:
    root = trial(tmp_path / "root", words=("panic=30", "a=b c"))
    assert answer_of(root).next.command_line.endswith('panic=30 "a=b c"')
    disk = root.disk()
    assert [disk.start(), disk.start(), disk.start()] == [NEW, OLD, OLD]


def test_a_kernel_that_cannot_be_loaded_leads_to_the_known_good_one(tmp_path: Path) -> None:
    """In the same boot: `fallback` is entry 0."""
    root = trial(tmp_path / "root")
    (root.folder / f"boot/vmlinuz-{NEW}").write_bytes(b"no kernel" * 500)
    disk = root.disk()
    assert [disk.start(), disk.start()] == [OLD, OLD]


def test_a_flag_that_cannot_be_taken_back_starts_nothing_new(tmp_path: Path) -> None:
    """A disk that refuses writes would try the kernel at every boot."""
    disk = trial(tmp_path / "root", "GRUB_TERMINAL=serial\n").disk()
    assert [disk.start(read_only=True), disk.start()] == [OLD, NEW]


LAYERED = {
    # the kind of disk; what the host says of it
    "lvm": ("lvm", "ext4", "dm-0"),
    "md": ("md", "ext4", "md0"),
    "btrfs": ("btrfs", "btrfs", "vdb"),
    "zfs": ("zfs", "zfs", "vdb"),
}
TOOLS = {"btrfs": MKFS_BTRFS, "zfs": ZFS_FUSE}


@pytest.mark.parametrize(("layer", "kind", "device"), LAYERED.values(), ids=LAYERED.keys())
def test_what_grub_cannot_forget(tmp_path: Path, layer: str, kind: str, device: str) -> None:
    """A flag starts nothing new there, and `next_entry` for ever."""
    if layer in TOOLS and not TOOLS[layer].exists():
        pytest.skip(f"{TOOLS[layer].name} is not on this machine")
    root = trial(tmp_path / "root", "GRUB_TERMINAL=serial\n")
    if layer == "zfs":
        root.on_zfs()
        text = root.update()
        assert f"/ROOT@/boot/vmlinuz-{NEW}" in text
        for release in (OLD, NEW):  # entries of ours, which were written for ext4
            text = text.replace(f"'/boot/vmlinuz-{release}'", f"'/ROOT@/boot/vmlinuz-{release}'")
            text = text.replace(f"'/boot/initrd.img-{release}'", f"'/ROOT@/boot/initrd.img-{release}'")
        (root.folder / "boot/grub/grub.cfg").write_text(text)
    disk = root.disk(layer)
    assert [disk.start(), disk.start()] == [OLD, OLD]
    root.environment(f"saved_entry={entry(OLD)}", f"next_entry={entry(NEW)}")
    answer = grub_reading.read(root.host(kind=kind, device=device), "/boot/grub").answer(())
    assert (answer.next.release, answer.default.release, answer.no_once is None) == (NEW, NEW, False)
    disk = root.disk(layer)
    assert [disk.start(), disk.start()] == [NEW, NEW]


def test_a_default_that_cannot_be_loaded_leads_to_the_other(tmp_path: Path) -> None:
    """The old kernel stays the fallback of the new default."""
    root = trial(tmp_path / "root")
    grub = Grub(root.host(), root.run, "/boot/grub", ())
    grub.set_once(None)
    grub.set_default(grub.answer().choice(NEW))
    answer = grub.answer()
    assert (answer.default.entry, answer.on_failure and answer.on_failure.release) == (entry(NEW), OLD)
    assert root.disk().start() == NEW
    (root.folder / f"boot/vmlinuz-{NEW}").write_bytes(b"no kernel" * 500)
    assert root.disk().start() == OLD


def test_settings_of_a_file_that_is_not_read(tmp_path: Path) -> None:
    """grub-mkconfig reads files named .cfg; grub.cfg shows what came of it."""
    root = GrubRoot.make(tmp_path / "root")
    root.settings("GRUB_TIMEOUT=0\n")
    root.settings(f'GRUB_DEFAULT="{entry(OLD)}"\n', "etc/default/grub.d/pin.conf")
    root.update()
    assert answer_of(root).default.release == NEW == root.disk().start()
    root.settings(f'GRUB_DEFAULT="{entry(OLD)}"\n', "etc/default/grub.d/pin.cfg")
    root.update()
    assert answer_of(root).default.release == OLD == root.disk().start()
