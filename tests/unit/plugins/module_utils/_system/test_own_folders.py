# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders and locks of our own, whatever was there before."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine import all_vf_drivers, journal, last_apply
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import act_lock
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError, RefusedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.journal_entry import JournalEntry
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import PF_LOCKS, WRITES
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import PfState
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import durable, pf_lock
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from tests.fake.linux.host import FakeHost

PF = "0000:03:00.0"
RUN = "run/kvmfleet-sriov"


def _lock(sysfs: Sysfs) -> None:
    with pf_lock.held(sysfs, [PF]):
        pass


def _act(sysfs: Sysfs) -> None:
    with act_lock.held(sysfs):
        pass


def _write(sysfs: Sysfs) -> None:
    target = Path(sysfs.real("/target"))
    target.touch()
    Sysfs(sysfs.root).write_within("/target", "1", PF, 10)


MAKERS: dict[str, Callable[[Sysfs], object]] = {
    "pf_lock": _lock,
    "act_lock": _act,
    "writes": _write,
    "last_apply": lambda sysfs: last_apply.recorded(sysfs, lambda: None),
    "journal": lambda sysfs: journal.note(sysfs, PF, JournalEntry(autoprobe=True)),
    "every_vf": lambda sysfs: all_vf_drivers.note(sysfs, PfState(PF, 7, 0, driver="igb")),
}
EVERY = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@EVERY
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, umask: int, make: Callable[[Sysfs], object]) -> None:
    """Users may look into folders, write to none, and open no lock."""
    (tmp_path / "run").mkdir()
    make(FakeHost(tmp_path).sysfs)
    found = list((tmp_path / RUN).rglob("*"))
    assert found
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in (tmp_path / RUN, *found)}
    assert {path: oct(mode) for path, mode in modes.items() if path.is_dir() and mode != 0o755} == {}
    wanted = {path: 0o600 if path.parent.name in ("pfs", "writes") or "lock" in path.name else 0o644 for path in found}
    assert [path for path in found if path.is_file() and modes[path] != wanted[path]] == []


@EVERY
def test_no_link_is_followed(tmp_path: Path, make: Callable[[Sysfs], object]) -> None:
    """Links in place of the folder, or of any file in it."""
    sysfs = FakeHost(tmp_path / "root").sysfs
    make(sysfs)
    made = [path for path in (tmp_path / "root" / RUN).rglob("*") if path.is_file()]
    victim = tmp_path / "victim"
    for path in made:
        victim.write_text("precious")
        path.unlink()
        path.symlink_to(victim)
        with contextlib.suppress(KernelError, RefusedError):
            make(sysfs)
        assert victim.read_text() == "precious"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.rename(tmp_path / "root" / RUN, tmp_path / "before")
    (tmp_path / "root" / RUN).symlink_to(elsewhere)
    with contextlib.suppress(RefusedError):
        make(sysfs)
    with pytest.raises(RefusedError, match="is a link, and root writes nothing behind it"):
        durable.make_folder(str(tmp_path / "root" / RUN))
    assert list(elsewhere.iterdir()) == []


def test_another_users_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    durable.make_folder(str(tmp_path / RUN))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(RefusedError, match=r"belongs to user \d+, and user \d+ writes nothing there"):
        durable.make_folder(str(tmp_path / RUN / "pfs"))


def test_a_file_with_another_name_is_refused(tmp_path: Path) -> None:
    """Root signs its locks, so a hard link would lead it anywhere."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "root" / PF_LOCKS.lstrip("/")
    folder.mkdir(parents=True)
    os.link(victim, folder / PF)
    with pytest.raises(RefusedError, match="is not a plain file with one name"):
        _lock(FakeHost(tmp_path / "root").sysfs)
    assert victim.read_text() == "precious"


def test_a_folder_that_all_could_write_to_is_closed(tmp_path: Path) -> None:
    (tmp_path / RUN).mkdir(parents=True)
    (tmp_path / RUN).chmod(0o777)
    durable.make_folder(str(tmp_path / RUN / "pfs"))
    assert stat.S_IMODE((tmp_path / RUN).stat().st_mode) == 0o755


@pytest.mark.parametrize("held", [True, False])
def test_users_learn_of_locks_from_the_kernels_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    """They cannot open the file, so they cannot lock it either."""
    host = FakeHost(tmp_path)
    path = tmp_path / WRITES.lstrip("/") / PF
    path.parent.mkdir(parents=True)
    path.touch()
    found = path.stat()
    node = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    other = f"1: FLOCK  ADVISORY  WRITE 77 {node}9 0 EOF\n2: POSIX  ADVISORY  WRITE 77 {node} 0 EOF\n"
    table = tmp_path / "proc/locks"
    table.parent.mkdir(exist_ok=True)
    table.write_text(other + (f"3: FLOCK  ADVISORY  WRITE 77 {node} 0 EOF\n" if held else ""))
    real = os.open

    def refused(name: str, *args: int) -> int:
        if name == str(path):
            raise PermissionError(13, "Permission denied")
        return real(name, *args)

    monkeypatch.setattr(os, "open", refused)
    assert host.sysfs.locked(f"{WRITES}/{PF}") is held
    table.unlink()
    assert host.sysfs.locked(f"{WRITES}/{PF}") is False
