# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What emulated hosts boot: the lab's boot disk, and grub.cfg of grub-mkconfig.

Real: grub-mkconfig of this machine with the lab's settings, and GRUB. Played: the kernels.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import loaders
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.answer import Answer
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.grub import Grub
from lab.images import bootdisk, grub, kernel_image
from lab.progress import LabError
from tests.fake.boot.grub import NEW, OLD, UUID, Disk, GrubRoot, missing

TICK = f"extra_arguments={kernel_image.TICK}"
needs_grub = [
    pytest.mark.slow,
    pytest.mark.heavy,
    pytest.mark.skipif(bool(missing()), reason=f"not on this machine: {', '.join(missing())}"),
]


def answer_of(root: GrubRoot) -> Answer:
    return loaders.find(root.host(), root.run).answer()


def disk_of(root: GrubRoot) -> Disk:
    """The root's disk behind the lab's boot disk."""
    return Disk(bootdisk.build(), root.disk().image)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GrubRoot:
    """A root as the lab makes it, with two kernels."""
    monkeypatch.setenv("KVMFLEET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(grub, "UUID", UUID)
    made = GrubRoot.make(tmp_path / "root")
    made.settings(grub.SETTINGS.read_text())
    shutil.copy(grub.SETTINGS.parents[1] / "grub.d/06_lab", made.folder / "etc/grub.d")
    made.update()
    made.environment(f"saved_entry={grub.entry(OLD)}", TICK)
    return made


class TestBoots:
    pytestmark = needs_grub

    def test_the_saved_entry_of_a_configuration_by_grub_mkconfig(self, root: GrubRoot) -> None:
        default = answer_of(root).default
        assert (default.release, default.entry, default.pinned) == (OLD, grub.entry(OLD), True)
        words = default.command_line.split()
        assert "root=/dev/vdb" in words
        assert words[-2:] == kernel_image.TICK.split()
        assert Grub(root.host(), root.run, "/boot/grub", ()).own_entry()
        assert disk_of(root).start() == OLD

    def test_a_kernel_is_tried_by_entries_of_ours(self, root: GrubRoot) -> None:
        loader = loaders.find(root.host(), root.run)
        loader.set_once(loader.answer().choice(NEW), ("panic=5",))
        disk = disk_of(root)
        assert [disk.start(), disk.start()] == [NEW, OLD]

    def test_a_kernel_that_is_put_into_the_image_starts_once(self, root: GrubRoot) -> None:
        """grub.cfg was written before, and does not know it."""
        (root.folder / f"boot/vmlinuz-{NEW}").unlink()
        root.update()
        root.install(NEW)
        (root.folder / "boot/grub/custom.cfg").write_text(grub.custom(NEW, grub.SETTINGS.read_text()))
        root.environment(f"saved_entry={grub.entry(OLD)}", TICK, f"next_entry={grub.once(NEW)}")
        answer = answer_of(root)
        assert (answer.next.release, answer.default.release) == (NEW, OLD)
        assert set(answer.next.command_line.split()) == set(answer.default.command_line.split()) - {"ro"}
        disk = disk_of(root)
        assert [disk.start(), disk.start()] == [NEW, OLD]


def test_grub_probe_answers_for_an_emulated_host() -> None:
    answers = [
        subprocess.run([grub.PROBE, *words], capture_output=True, text=True, check=True).stdout.strip()
        for words in (
            ("--target=device", "/"),
            ("-t", "fs_uuid", "/boot"),
            ("--device", "/dev/vdb", "--target=fs_uuid"),
        )
    ]
    assert answers == ["/dev/vdb", grub.UUID, grub.UUID]


@pytest.mark.skipif(shutil.which("grub-editenv") is None, reason="grub-editenv is not on this machine")
def test_a_root_file_system_without_the_entry_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """grub-mkconfig ends well where it finds no kernel."""
    (tmp_path / "boot/grub").mkdir(parents=True)
    text = f"menuentry x $menuentry_id_option 'gnulinux-{OLD}-advanced-{grub.UUID}' {{\n"
    (tmp_path / grub.CONFIGURATION).write_text(text)
    asked: list[tuple[str, ...]] = []

    def run(argv: list[str | Path]) -> str:
        asked.append(tuple(map(str, argv)))
        return "" if argv[0] == "unshare" else subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    monkeypatch.setattr(grub, "run", run)
    grub.configure(tmp_path, OLD)
    assert asked[0][-3:] == (str(grub.PROBE), str(tmp_path), grub.CONFIGURATION)
    block = (tmp_path / "boot/grub/grubenv").read_text()
    assert f"saved_entry={grub.entry(OLD)}\n" in block
    with pytest.raises(LabError, match=f"wrote no entry for kernel {NEW}"):
        grub.configure(tmp_path, NEW)
