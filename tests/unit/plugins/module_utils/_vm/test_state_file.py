# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed state files of VMs, and what happens to them afterwards."""

from __future__ import annotations

import ctypes
import hashlib
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, KernelError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import state_file
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.state_file import HEADER, Fingerprint

SIZE = 8 << 20
"""Far more than all samples together."""
PUNCH_HOLE, KEEP_SIZE = 2, 1


def state(path: Path, seed: int = 1, size: int = SIZE) -> str:
    """A state of one VM, the same for the same ``seed``."""
    state_file.create(str(path))
    with path.open("ab") as file:
        file.write(random.Random(seed).randbytes(size))
    return str(path)


def punch(path: str, start: int, length: int) -> None:
    """Punch a hole, as fallocate(1) does; Python has no call for it."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(path, "r+b") as file:
        arguments = (ctypes.c_int(PUNCH_HOLE | KEEP_SIZE), ctypes.c_int64(start), ctypes.c_int64(length))
        assert libc.fallocate64(file.fileno(), *arguments) == 0, os.strerror(ctypes.get_errno())


def zero(path: str, start: int, length: int) -> None:
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(bytes(length))


def with_times_of(path: str, sealed: Fingerprint) -> Fingerprint:
    """As though the disk had changed behind the file system's back."""
    now = os.stat(path)
    return replace(sealed, mtime_ns=now.st_mtime_ns, ctime_ns=now.st_ctime_ns)


def test_space_is_reserved_before_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "state"
    state_file.create(str(path))
    state_file.reserve(str(path), SIZE)
    found = path.stat()
    assert found.st_size == HEADER
    assert found.st_blocks * 512 >= SIZE or not takes_fallocate(tmp_path / "other")
    path.write_bytes(b"x" * 10)
    assert path.read_bytes() == b"x" * 10


def takes_fallocate(path: Path) -> bool:
    with path.open("wb") as file:
        return int(ctypes.CDLL(None).fallocate(file.fileno(), 0, ctypes.c_int64(0), ctypes.c_int64(1))) == 0


def test_a_disk_without_the_space(tmp_path: Path) -> None:
    """Nor a file system that knows such sizes."""
    path = tmp_path / "state"
    state_file.create(str(path))
    if takes_fallocate(tmp_path / "other"):
        with pytest.raises(KernelError, match=r"cannot reserve 4611686018427 MiB for .*state: E(NOSPC|FBIG)"):
            state_file.reserve(str(path), 4611686018427 << 20)
    with pytest.raises(KernelError, match="ENOENT"):
        state_file.reserve(str(tmp_path / "none"), 1)


@pytest.mark.parametrize("whole", [False, True])
def test_a_state_that_nobody_touched(tmp_path: Path, whole: bool) -> None:
    path = state(tmp_path / "state")
    sealed = state_file.seal(path, whole)
    state_file.verify(path, sealed)
    data = Path(path).read_bytes()
    assert (sealed.size, sealed.whole, len(data)) == (SIZE + HEADER, whole, SIZE + HEADER)
    assert data[HEADER:] == random.Random(1).randbytes(SIZE)
    assert (sealed.sha256 == hashlib.sha256(data).hexdigest()) is whole
    assert os.stat(path).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda path: os.truncate(path, SIZE + HEADER - 1), f"{SIZE + HEADER - 1} bytes, {SIZE + HEADER} were saved"),
        (lambda path: os.truncate(path, SIZE + HEADER + 1), "were saved"),
        (lambda path: os.truncate(path, 0), "0 bytes"),
        (lambda path: zero(path, 0, HEADER), "it is of another save"),
        (lambda path: punch(path, 4 << 20, 4096), "written to|sha256 of all"),
        (lambda path: zero(path, (4 << 20) + 17, 1), "written to|sha256 of all"),
    ],
)
def test_a_state_that_somebody_changed(tmp_path: Path, whole: bool, act: Callable[[str], None], message: str) -> None:
    path = state(tmp_path / "state")
    sealed = state_file.seal(path, whole)
    before = os.stat(path)
    act(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # nobody sets a ctime
    with pytest.raises(BadInputError, match=message):
        state_file.verify(path, sealed)


@pytest.mark.parametrize("whole", [False, True])
def test_an_older_state_of_the_same_vm(tmp_path: Path, whole: bool) -> None:
    """Of the same size and contents, but for the nonce."""
    old, path = str(tmp_path / "old"), state(tmp_path / "state")
    state_file.seal(path, whole)
    shutil.copy2(path, old)
    sealed = state_file.seal(state(tmp_path / "state"), whole)
    state_file.verify(path, sealed)
    os.replace(old, path)
    with pytest.raises(BadInputError, match=f"it is of another save .nonce [0-9a-f]{{32}}, saved was {sealed.nonce}"):
        state_file.verify(path, sealed)


@pytest.mark.parametrize("whole", [False, True])
def test_the_state_of_another_vm(tmp_path: Path, whole: bool) -> None:
    mine, other = state(tmp_path / "mine"), state(tmp_path / "other", seed=2)
    sealed = state_file.seal(mine, whole)
    state_file.seal(other, whole)
    os.replace(other, mine)
    with pytest.raises(BadInputError, match="another save"):
        state_file.verify(mine, sealed)


def test_the_body_of_another_state_behind_the_right_header(tmp_path: Path) -> None:
    """Even as though nothing was written to it: the samples differ."""
    mine, other = Path(state(tmp_path / "mine")), Path(state(tmp_path / "other", seed=2))
    sealed = state_file.seal(str(mine))
    mine.write_bytes(mine.read_bytes()[:HEADER] + other.read_bytes()[HEADER:])
    with pytest.raises(BadInputError, match="sha256 of its samples"):
        state_file.verify(str(mine), with_times_of(str(mine), sealed))


@pytest.mark.parametrize("start", [HEADER, HEADER + 12345, SIZE // 2, SIZE - 3 * (SIZE // 256)])
@pytest.mark.parametrize("damage", [zero, punch])
def test_a_part_that_the_disk_has_lost(tmp_path: Path, start: int, damage: Callable[[str, int, int], None]) -> None:
    """The longest part without a sample is shorter than two of 256."""
    path = state(tmp_path / "state")
    sealed = state_file.seal(path)
    damage(path, start, 2 * (SIZE // 256) + 4096)
    with pytest.raises(BadInputError, match="sha256 of its samples"):
        state_file.verify(path, with_times_of(path, sealed))


@pytest.mark.parametrize("place", [0, HEADER - 1, -1, -4096])
def test_header_and_tail_are_always_samples(tmp_path: Path, place: int) -> None:
    path = state(tmp_path / "state")
    sealed = state_file.seal(path)
    with open(path, "r+b") as file:
        file.seek(place, os.SEEK_END if place < 0 else os.SEEK_SET)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(BadInputError, match=r"another save|sha256 of its samples"):
        state_file.verify(path, with_times_of(path, sealed))


def test_samples_are_drawn_anew_for_each_save(tmp_path: Path) -> None:
    first, second = (list(state_file.samples(1 << 34, nonce)) for nonce in ("ab", "cd"))
    assert first == list(state_file.samples(1 << 34, "ab"))
    assert len(set(first) - set(second)) > 200
    steps = [after - before for before, after in zip(first, first[1:])]
    assert max(steps) < 2 * (1 << 34) // 256
    assert len(first) == 258


def test_a_small_state_is_sampled_as_a_whole(tmp_path: Path) -> None:
    assert set(state_file.samples(HEADER + 10, "ab")) == {0, HEADER, 10}


@pytest.mark.parametrize("size", [0, HEADER])
def test_a_state_that_is_empty(tmp_path: Path, size: int) -> None:
    (tmp_path / "state").write_bytes(bytes(size))
    with pytest.raises(BadInputError, match="the saved guest is empty"):
        state_file.seal(str(tmp_path / "state"))


def test_a_state_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="ENOENT"):
        state_file.seal(str(tmp_path / "none"))
    with pytest.raises(KernelError, match="ENOENT"):
        state_file.verify(str(tmp_path / "none"), Fingerprint(1, "", ""))


def test_it_is_created_in_place_of_an_older_one(tmp_path: Path) -> None:
    path, kept = tmp_path / "state", tmp_path / "kept"
    kept.write_text("others'")
    path.symlink_to(kept)
    state_file.create(str(path))
    assert (kept.read_text(), path.is_symlink(), path.stat().st_size) == ("others'", False, HEADER)


def test_both_are_durable_before_it_is_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = state(tmp_path / "state"), list[str]()
    fsync = os.fsync

    def noted(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    state_file.seal(path)
    assert synced == [path, str(tmp_path)]


def test_a_disk_that_cannot_write_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = state(tmp_path / "state")
    monkeypatch.setattr(os, "fsync", lambda _handle: (_ for _ in ()).throw(OSError(5, "input/output error")))
    with pytest.raises(KernelError, match="EIO"):
        state_file.seal(path)


@pytest.mark.parametrize("change", [{"size": True}, {"nonce": 3}, {"whole": 1}, {"mtime_ns": 1.5}, {"more": 1}])
def test_a_fingerprint_that_is_none(change: dict[str, object]) -> None:
    good = asdict(Fingerprint(1, "ab", "cd"))
    assert Fingerprint.parse(good, "x") == Fingerprint(1, "ab", "cd")
    with pytest.raises(BadInputError, match=r"^x"):
        Fingerprint.parse({**good, **change}, "x")
