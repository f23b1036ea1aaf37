# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of saved domains keep their second name, and are known again."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, KernelError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.process import refuse
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt import save_format, save_image
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.connection import Connection
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.save_image import SaveImage

UUID = "c7a5fdbd-edaf-9455-926a-d65c16db1809"
DATA = save_format.COMPLETE + bytes(range(256)) * 40


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    (tmp_path / save_format.FOLDER.lstrip("/")).mkdir(parents=True)
    found = Sysfs(str(tmp_path))
    Path(found.real(save_format.path("w 1"))).write_bytes(DATA)
    return found


def test_an_image_that_libvirt_deletes_is_put_back(sysfs: Sysfs) -> None:
    for _again in range(2):
        image = save_image.keep(sysfs, UUID, "w 1")
    assert sysfs.names(save_format.FOLDER) == [f"{UUID}.kvmfleet", "w 1.save"]
    os.unlink(sysfs.real(save_format.path("w 1")))
    save_image.require(sysfs, SaveImage.parse(image.to_dict(), "x"))
    for _again in range(2):
        save_image.show(sysfs, UUID, "w 1")
    assert Path(sysfs.real(save_format.path("w 1"))).read_bytes() == DATA
    save_image.hide(sysfs, Connection(refuse), UUID, "w 1")
    save_image.hide(sysfs, Connection(refuse), UUID, "w 1")
    assert sysfs.names(save_format.FOLDER) == [f"{UUID}.kvmfleet"]
    save_image.forget(sysfs, UUID)
    assert not save_image.is_kept(sysfs, UUID)


def test_a_guard_is_no_image_and_takes_its_place(sysfs: Sysfs) -> None:
    """A save that is repeated keeps the image, not the guard."""
    image = save_image.keep(sysfs, UUID, "w 1")
    for _again in range(2):
        save_image.put_guard(sysfs, UUID, "w 1")
        assert save_image.keep(sysfs, UUID, "w 1") == image
    save_image.require(sysfs, image)
    assert save_image.is_there(sysfs, UUID, "w 1")
    assert not save_image.is_shown(sysfs, UUID, "w 1")
    save_image.show(sysfs, UUID, "w 1")
    assert save_image.is_shown(sysfs, UUID, "w 1")
    save_image.put_guard(sysfs, UUID, "w 1")
    save_image.forget(sysfs, UUID)
    with pytest.raises(BadInputError, match="its save was interrupted"):
        save_image.keep(sysfs, UUID, "w 1")
    save_image.hide(sysfs, Connection(refuse), UUID, "w 1")
    assert sysfs.names(save_format.FOLDER) == []


def test_an_image_of_a_transient_domain_has_one_name(sysfs: Sysfs) -> None:
    source = Path(sysfs.real(save_format.unkept_path(UUID)))
    source.write_bytes(save_format.PARTIAL + DATA[16:])
    assert not save_image.is_saved(sysfs, UUID)
    source.write_bytes(DATA)
    assert save_image.is_saved(sysfs, UUID)
    image = save_image.keep(sysfs, UUID, "t", transient=True)
    assert save_image.keep(sysfs, UUID, "t", transient=True) == image
    assert sysfs.names(save_format.FOLDER) == [f"{UUID}.kvmfleet", "w 1.save"]
    assert save_image.is_saved(sysfs, UUID)


@pytest.mark.parametrize("data", [save_format.PARTIAL + DATA[16:], b"", b"LibvirtQemud"])
def test_what_libvirt_would_delete_is_not_kept(sysfs: Sysfs, data: bytes) -> None:
    Path(sysfs.real(save_format.path("w 1"))).write_bytes(data)
    with pytest.raises(BadInputError, match="its save was interrupted"):
        save_image.keep(sysfs, UUID, "w 1")
    assert not save_image.is_kept(sysfs, UUID)


def test_nothing_to_keep_is_an_error(sysfs: Sysfs) -> None:
    with pytest.raises(KernelError, match="ENOENT"):
        save_image.keep(sysfs, UUID, "w 2")


CHANGES = {
    "size": lambda data: data + b"x", "sha256": lambda data: data[:-1] + b"x",
    "mtime_ns": lambda data: data,
}  # fmt: skip


@pytest.mark.parametrize("key", CHANGES)
def test_another_image_is_not_put_back(sysfs: Sysfs, key: str) -> None:
    image = save_image.keep(sysfs, UUID, "w 1")
    os.unlink(sysfs.real(save_format.path("w 1")))
    kept = Path(sysfs.real(save_format.kept_path(UUID)))
    kept.write_bytes(CHANGES[key](DATA))
    os.utime(kept, ns=(image.mtime_ns, image.mtime_ns + (key == "mtime_ns")))
    with pytest.raises(BadInputError, match=rf"{UUID}\.kvmfleet: {key} is .*was saved"):
        save_image.require(sysfs, image)


def test_an_image_of_another_save_stays(sysfs: Sysfs) -> None:
    save_image.keep(sysfs, UUID, "w 1")
    path = Path(sysfs.real(save_format.path("w 1")))
    path.unlink()
    path.write_bytes(DATA)
    for act in (save_image.show, save_image.put_guard):
        with pytest.raises(BadInputError, match="is another image than the one that was kept"):
            act(sysfs, UUID, "w 1")
    save_image.hide(sysfs, Connection(refuse), UUID, "w 1")
    assert path.exists()


@pytest.mark.parametrize("data", [None, {}, {"uuid": UUID}, [1]])
def test_what_is_no_image_of_a_state_is_an_error(data: object) -> None:
    with pytest.raises(BadInputError, match=r"x: .* is no saved domain"):
        SaveImage.parse(data, "x")
    good = SaveImage(UUID, "w", 1, 2, "s").to_dict()
    for key, value in (("size", "1"), ("mtime_ns", True), ("name", 5)):
        with pytest.raises(BadInputError, match=rf"x\.{key}: "):
            SaveImage.parse({**good, key: value}, "x")


def _refuse(_one: str, other: str) -> None:
    raise OSError(errno.EXDEV, other)


def test_a_discarded_image_on_another_file_system_stays_for_a_while(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image.keep(sysfs, UUID, "w 1")
    real, folder = os.rename, os.path.dirname(sysfs.real(save_format.kept_path(UUID)))
    monkeypatch.setattr(
        os, "rename", lambda one, other: real(one, other) if os.path.dirname(other) == folder else _refuse(one, other)
    )
    save_image.move_aside(sysfs, UUID, "/elsewhere/libvirt.save")
    assert not save_image.is_kept(sysfs, UUID)
    save_image.move_aside(sysfs, UUID, "/elsewhere/libvirt.save")
    left = f"{save_format.kept_path(UUID)}-discarded"
    save_image.delete_discarded(sysfs, time.time())
    assert sysfs.exists(left)
    save_image.delete_discarded(sysfs, time.time() + save_image.KEEP_S + 10)
    assert not sysfs.exists(left)
    assert sysfs.exists(save_format.path("w 1"))
