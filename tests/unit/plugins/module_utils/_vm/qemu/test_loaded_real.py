# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real QEMU with a loaded guest that does not run yet."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import images
from tests.fake.vm.real import NEEDS_QEMU_AND_IMAGES, running

pytestmark = [*NEEDS_QEMU_AND_IMAGES]
MACHINES = {"q35": "pc-q35-10.0"}


class OtherDiskError(Exception):
    """The disk is not as it was."""


@pytest.mark.parametrize("kind", ["raw", "qcow2", "qcow2 with a bitmap"])
def test_a_load_changes_no_image_and_sees_who_does(tmp_path: Path, kind: str) -> None:
    """So images can be compared until the guest runs."""
    path, form = str(tmp_path / "disk"), kind.split()[0]
    subprocess.run(["qemu-img", "create", "-q", "-f", form, path, "8M"], check=True)
    if kind.endswith("bitmap"):
        subprocess.run(["qemu-img", "bitmap", "--add", path, "b0"], check=True)
    with running("-drive", f"if=none,id=d0,file={path},format={form}", "-device", "virtio-blk-pci,drive=d0") as machine:
        vm, state = machine.vm(MACHINES), str(tmp_path / "state")
        saved = machine.backend.save(vm, state)
        before = next(image for image in saved.images if image.name == path)
        machine.reap()
        machine.backend.discard(vm)
        seen: list[str | None] = []

        def compare() -> None:
            seen.append(images.difference(Sysfs(), before))
            raise OtherDiskError

        with pytest.raises(OtherDiskError):
            machine.backend.restore(vm, state, saved.form, True, compare)
        assert machine.status() == "paused"
        overwrite(path, form)
        with pytest.raises(OtherDiskError):  # as after an interruption
            machine.backend.restore(vm, state, saved.form, False, compare)
        assert seen[0] is None
        assert seen[1] is not None
        assert machine.status() == "paused"
        assert machine.backend.withdraw(vm)


def overwrite(path: str, form: str) -> None:
    """Another program writes to the image: QEMU does not lock it yet."""
    subprocess.run(["qemu-io", "-f", form, "-c", "write 0 512", path], check=True, capture_output=True)
