# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of a manager save and restore real QEMUs."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import (
    BadInputError,
    DeadlineError,
    RefusedError,
    SriovError,
    ToolError,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import process
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.update_folder import Folder
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import vm_commands
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.backend import Deadlines, NeverRanError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.command.backend import CommandBackend
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.ending import EndedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import ManifestVm
from tests.fake.vm import manager as _manager
from tests.fake.vm.manager import Manager
from tests.fake.vm.real import NEEDS_QEMU
from tests.faults import guest

pytestmark = [*NEEDS_QEMU]
NAME = "100"


class Host:
    """A VM of a manager that runs and counts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.disk = folder, folder / f"{NAME}.img"
        self.manager = Manager(folder, NAME)
        words = [sys.executable, str(Path(_manager.__file__)), str(folder)]
        verbs = ("save", "saved", "restore", "discard", "shutdown", "start")
        argvs = {verb: [*words, verb, "{name}"] for verb in verbs}
        self.commands = vm_commands.parse({"pid_file": f"{folder}/{{name}}.pid", **argvs}, "vm_commands[0]")
        self.backend = CommandBackend(
            Sysfs(), process.run, Deadlines(vm_commands=(self.commands,), answer_s=3.0, start_s=30.0, migrate_s=30.0)
        )
        self.state = Folder.of(Sysfs()).state(NAME)
        guest.make(self.disk)
        self.manager.start()
        self.wait()
        Folder.of(Sysfs()).make_vm(NAME)
        self.vm = self.record()

    def record(self) -> ManifestVm:
        found = next(iter(self.backend.probe({}, ())))
        return ManifestVm(
            NAME, "command", 0, found.pid, found.started, "", True, "leave", "restore", {}, (),
            self.backend.prepare(found),
        )  # fmt: skip

    def wait(self) -> int:
        """Wait until the guest counts on; returns its number."""
        before, until = guest.read(self.disk).sequence, time.monotonic() + 60
        while (now := guest.read(self.disk).sequence) <= before + 1:
            assert time.monotonic() < until, "the guest does not count"
            time.sleep(0.05)
        return now

    def goes_wrong(self, verb: str, how: str) -> None:
        (self.folder / verb).write_text(how)

    def is_well(self, verb: str) -> None:
        (self.folder / verb).unlink()

    def restore(self, start: bool = True) -> list[str]:
        ran: list[str] = []
        self.backend.restore(self.vm, self.state, {}, start, lambda: ran.append("before"))
        return ran

    def require_same_guest(self) -> None:
        """Require that the guest counts on, with its memory."""
        self.wait()
        assert guest.read(self.disk).boots == 1
        assert guest.read(self.disk).foreign == 0


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    folder = Path(tempfile.mkdtemp(prefix="kf"))
    monkeypatch.setattr(Folder, "of", classmethod(lambda cls, _sysfs: cls(str(folder / "update"))))
    (folder / "update").mkdir(mode=0o700)
    try:
        yield Host(folder)
    finally:
        Manager(folder, NAME).kill()
        shutil.rmtree(folder)


def test_a_vm_is_found_by_its_pid_file(host: Host) -> None:
    found = next(iter(host.backend.probe({}, ())))
    assert (found.name, found.pid, found.kept_elsewhere) == (NAME, int(host.manager.pid_file.read_text()), True)
    assert [image.name for image in found.images] == [str(host.disk)]
    assert found.memory_bytes > 1 << 20
    assert list(host.backend.problems(found)) == []
    assert host.backend.probe({}, (found.pid,)) == []


def test_a_pid_file_of_another_process_is_none(host: Host) -> None:
    (host.folder / "101.pid").write_text(host.manager.pid_file.read_text())
    assert [vm.name for vm in host.backend.probe({}, ())] == [NAME]


def test_full_round(host: Host) -> None:
    saved = host.backend.save(host.vm, host.state)
    assert host.backend.pid(NAME) is None
    assert host.manager.state.exists()
    assert [image.name for image in saved.images] == [str(host.disk)]
    host.backend.discard(host.vm)
    host.backend.ready(host.vm)
    assert host.restore() == ["before"]
    host.require_same_guest()
    assert host.backend.is_own(host.vm)
    host.backend.forget(host.vm, None)


def test_a_save_that_was_cut_after_its_program_is_finished(host: Host) -> None:
    host.backend.save(host.vm, host.state)
    assert [image.name for image in host.backend.save(host.vm, host.state).images] == [str(host.disk)]


def test_a_save_that_was_cut_in_its_program_is_undone(host: Host) -> None:
    def cut(argv: Sequence[str], seconds: float) -> str:
        answer = process.run(argv, seconds)
        if argv[-2] == "save":
            raise KeyboardInterrupt
        return answer

    with pytest.raises(KeyboardInterrupt):
        replace(host.backend, run_for=cut).save(host.vm, host.state)
    assert host.backend.pid(NAME) is None
    host.backend.undo(host.vm, host.state)
    host.require_same_guest()


def test_a_saved_vm_runs_on_when_the_update_is_given_up(host: Host) -> None:
    host.backend.save(host.vm, host.state)
    host.backend.undo(host.vm, host.state)
    host.require_same_guest()


def test_a_save_that_fails_leaves_the_vm(host: Host) -> None:
    host.goes_wrong("save", "fail")
    with pytest.raises(ToolError, match="status 5: storage 'local' is not online"):
        host.backend.save(host.vm, host.state)
    host.backend.undo(host.vm, host.state)
    host.require_same_guest()


def test_programs_that_are_late_have_done_their_work(host: Host) -> None:
    """Their managers go on when they are killed."""

    def late(argv: Sequence[str], seconds: float) -> str:
        answer = process.run(argv, seconds)
        if argv[-2] in ("save", "restore"):
            raise DeadlineError(f"{argv[-2]} did not end")
        return answer

    host.backend = replace(host.backend, run_for=late)
    host.backend.save(host.vm, host.state)
    host.restore()
    host.require_same_guest()


def test_a_restore_that_is_late_and_starts_nothing_may_have_run(host: Host) -> None:
    def late(argv: Sequence[str], seconds: float) -> str:
        if argv[-2] == "restore":
            raise DeadlineError("restore did not end")
        return process.run(argv, seconds)

    host.backend.save(host.vm, host.state)
    host.backend = replace(host.backend, run_for=late)
    with pytest.raises(DeadlineError, match="restore did not end"):
        host.restore()


def test_a_save_that_lies_is_found_out(host: Host) -> None:
    host.goes_wrong("save", "lie")
    with pytest.raises(SriovError, match=r"save 100` ended with 0, and process \d+ runs on: it is not saved"):
        host.backend.save(host.vm, host.state)
    host.require_same_guest()


def test_a_state_that_is_missing_after_the_save(host: Host) -> None:
    host.goes_wrong("save", "lose")
    with pytest.raises(EndedError, match="there is no state: its memory is lost") as caught:
        host.backend.save(host.vm, host.state)
    assert caught.value.ending.crashed
    with pytest.raises(EndedError):
        host.backend.undo(host.vm, host.state)
    with pytest.raises(BadInputError, match="somebody else has started it"):
        host.restore()
    assert host.backend.pid(NAME) is None


@pytest.mark.parametrize("how", ["fail", "lie"])
def test_a_restore_that_fails_is_repeated(host: Host, how: str) -> None:
    host.backend.save(host.vm, host.state)
    host.goes_wrong("restore", how)
    with pytest.raises(NeverRanError, match="Its state is kept, and its disks are as they were"):
        host.restore()
    assert host.backend.withdraw(host.vm)
    host.is_well("restore")
    host.restore()
    host.require_same_guest()


def test_a_vm_that_somebody_else_has_restored(host: Host) -> None:
    host.backend.save(host.vm, host.state)
    host.manager.restore()
    pid = host.backend.pid(NAME)
    assert host.backend.continues(host.vm)
    assert not host.backend.is_own(host.vm)
    host.restore(start=False)
    assert host.backend.pid(NAME) == pid
    host.require_same_guest()


def test_a_vm_that_somebody_has_started_from_its_disk(host: Host) -> None:
    host.backend.save(host.vm, host.state)
    host.manager.start()
    assert host.backend.pid(NAME) is not None
    assert not host.backend.continues(host.vm)


def test_changed_disks_are_not_met_by_old_memory(host: Host) -> None:
    host.backend.save(host.vm, host.state)
    with host.disk.open("r+b") as file:
        file.seek(4096)
        file.write(b"of somebody else")
    with pytest.raises(BadInputError, match=r"100\.img: it was changed .* Its manager keeps its memory"):
        host.restore()
    assert host.backend.pid(NAME) is None
    assert host.manager.state.exists()


def test_a_state_of_which_nothing_is_known_is_not_loaded(host: Host) -> None:
    host.backend.save(host.vm, host.state)
    host.goes_wrong("saved", "unsure")
    with pytest.raises(ToolError, match="status 2"):
        host.restore()
    assert host.backend.pid(NAME) is None


def test_a_vm_that_was_started_again_since_arming_is_not_saved(host: Host) -> None:
    with pytest.raises(RefusedError, match="arm it again"):
        host.backend.save(replace(host.vm, started=host.vm.started + 1), host.state)
    host.require_same_guest()


def test_a_cold_start_deletes_the_memory_before(host: Host) -> None:
    host.backend.save(host.vm, host.state)
    host.backend.cold_start(host.vm)
    assert not host.manager.state.exists()
    host.wait()
    assert guest.read(host.disk).boots == 2


def test_a_vm_that_is_given_up_is_not_loaded_by_its_manager(host: Host) -> None:
    host.backend.save(host.vm, host.state)
    host.backend.forget(host.vm, str(host.folder))
    assert not host.manager.state.exists()


def test_a_vm_that_its_user_has_saved_since_keeps_its_memory(host: Host) -> None:
    """That is no state of the update, which is forgotten."""
    host.backend.save(host.vm, host.state)
    host.restore()
    host.manager.save()
    host.backend.forget(host.vm, None)
    assert host.manager.state.exists()


def test_a_state_that_a_restore_has_left_is_deleted(host: Host) -> None:
    """It is history: the VM has run on."""
    host.backend.save(host.vm, host.state)
    kept = host.manager.state.read_bytes()
    host.restore()
    host.manager.state.write_bytes(kept)
    host.backend.forget(host.vm, None)
    assert not host.manager.state.exists()
    host.require_same_guest()


def test_a_vm_is_shut_down(host: Host) -> None:
    host.backend.power_down(host.vm)
    assert host.backend.pid(NAME) is None


@pytest.mark.parametrize(
    ("how", "why"), [("unsure", "whether a state of it is kept is not known"), ("lie", "while it runs")]
)
def test_a_program_saved_that_is_of_no_use_is_refused(host: Host, how: str, why: str) -> None:
    host.goes_wrong("saved", how)
    found = next(iter(host.backend.probe({}, ())))
    assert why in next(iter(host.backend.problems(found)))[0]
