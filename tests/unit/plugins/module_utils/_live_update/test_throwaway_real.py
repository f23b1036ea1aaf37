# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throw-away VMs on a real QEMU, brought back without a jump."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import (
    machine,
    throwaway,
    throwaway_memory,
    throwaway_removal,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.machine import LiveHost
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.throwaway import Record, ThrowAway
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import argv as _qemu_argv
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import memory_reader, pattern_guest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp as _qmp
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import ManifestVm
from tests.fake.vm.real import NEEDS_QEMU, PROGRAM

pytestmark = [*NEEDS_QEMU]
VMS = (ThrowAway("rehearsal-901", 16, 0x9ABCDEF0), ThrowAway("rehearsal-902", 48, 0x80000001))
OPTIONS = Options(answer_s=60.0, start_s=60.0, whole_hash=True)


class Units:
    """Transient units: processes of this test, which it ends."""

    def __init__(self) -> None:
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, argv: Sequence[str]) -> str:
        words = list(argv)
        if words[0] == "systemd-run":
            unit = next(word.partition("=")[2] for word in words if word.startswith("--unit="))
            self.processes[unit] = subprocess.Popen(words[words.index("--") + 1 :], stdin=subprocess.DEVNULL)
        elif words[:2] == ["systemctl", "kill"]:
            self.processes[words[-1]].kill()
            self.processes[words[-1]].wait()
        elif words[:2] == ["systemctl", "show"]:
            return "active" if self.processes[words[-1]].poll() is None else "inactive"
        return ""

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture
def units() -> Iterator[Units]:
    found = Units()
    yield found
    found.end()


@pytest.fixture
def host(units: Units, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveHost]:
    """This machine, with the rehearsal's folders elsewhere."""
    folder = tempfile.mkdtemp(prefix="kf")
    monkeypatch.setattr(throwaway, "REHEARSAL_VMS", f"{folder}/vms")
    monkeypatch.setattr(throwaway, "REHEARSAL_SOCKETS", f"{folder}/s")
    found = machine.real(Sysfs(), OPTIONS, lambda _line: None, units.run)
    yield found
    shutil.rmtree(folder, ignore_errors=True)


def started(host: LiveHost) -> list[ThrowAway]:
    throwaway.store(host.sysfs, Record("6.12", VMS))
    throwaway_memory.start(host, VMS, str(PROGRAM), "tcg")
    return [throwaway_memory.filled(host, vm) for vm in VMS]


def saved_and_brought_back(host: LiveHost, units: Units, vm: ThrowAway) -> None:
    argv = vm.argv(str(PROGRAM), "tcg")
    part = {
        "qmp": vm.socket, "argv": argv, "restore_argv": _qemu_argv.for_restore(argv, {}), "cwd": "/", "devices": {},
    }  # fmt: skip
    one = ManifestVm(
        name=vm.name, backend="qemu", priority=0, pid=units.processes[vm.unit].pid, started=1, unit=vm.unit,
        cold_start=False, straggler="leave", on_other_kernel="restore", check={}, vfs=(), part=part,
    )  # fmt: skip
    backend, state = host.backends["qemu"], f"{vm.socket}.state"
    backend.copy(one, state, lambda _nearly: False)
    saved = backend.save(one, state)
    with _qmp.connect(vm.socket) as qmp:
        qmp.execute("quit")
    units.processes[vm.unit].wait()
    backend.restore(one, state, saved.form, True, lambda: None)


def test_all_memory_comes_back_as_it_was_and_the_guest_runs(host: LiveHost, units: Units) -> None:
    """Of guests of two sizes; and nothing stays."""
    vms = started(host)
    assert len({vm.sha256 for vm in vms}) == 2
    for vm in vms:
        saved_and_brought_back(host, units, vm)
        assert throwaway_memory.difference(host, vm) is None
    assert sorted(throwaway.running(host.sysfs).values()) == [vm.name for vm in VMS]
    assert throwaway_removal.remove(host)
    assert not throwaway.is_left(host.sysfs)
    assert not throwaway_removal.remove(host)


def test_one_byte_that_differs_is_found_and_a_vm_that_stands_still(
    host: LiveHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    vm, _other = started(host)
    other = replace(vm, sha256="0" * 64)
    assert throwaway_memory.difference(host, other) == (
        "its memory is not what it was, 0 of 4096 pages of its pattern are wrong"
    )
    assert "3840 of 4096" in str(throwaway_memory.difference(host, replace(vm, seed=1, sha256="")))
    with _qmp.connect(vm.socket) as qmp:
        qmp.execute("stop")
    monkeypatch.setattr(throwaway_memory, "ANSWER_S", 1.0)
    assert throwaway_memory.difference(host, vm) == "it executes nothing: it counted no NMI"
    throwaway_memory.end(host)
    assert throwaway_memory.difference(host, vm) == "it does not run"


class Answers:
    """A monitor that writes a part of the memory, or refuses."""

    def __init__(self, data: bytes | None) -> None:
        self.data = data

    def execute(self, command: str, _deadline_s: float, **arguments: object) -> None:
        if self.data is None:
            raise _qmp.QmpError(command, "GenericError", "no")
        if self.data:
            Path(str(arguments["filename"])).write_bytes(self.data)
        else:
            time.sleep(1)


@pytest.mark.parametrize(
    ("data", "deadline_s", "words"),
    [
        (None, 10.0, "QEMU refused pmemsave: no"),
        (b"part", 10.0, "QEMU has written 4 of 4096 bytes of memory"),
        (b"", 0.1, "bytes of memory in time"),
    ],
)
def test_memory_is_read_whole_or_not_at_all(tmp_path: Path, data: bytes | None, deadline_s: float, words: str) -> None:
    """And the pipe does not stay, nor one that was left."""
    pipe = tmp_path / "pipe"
    pipe.write_text("left")
    with pytest.raises(SriovError, match=words):
        memory_reader.read(Answers(data), str(pipe), 0, 4096, deadline_s, lambda _data: None)  # type: ignore[arg-type]  # a part of a monitor
    assert not pipe.exists()


def test_a_page_that_was_not_written_is_found_before_any_save(host: LiveHost, monkeypatch: pytest.MonkeyPatch) -> None:
    sector = pattern_guest.sector
    monkeypatch.setattr(pattern_guest, "sector", lambda mib, seed: sector(mib - 1, seed))
    throwaway.store(host.sysfs, Record("6.12", VMS[:1]))
    throwaway_memory.start(host, VMS[:1], str(PROGRAM), "tcg")
    with pytest.raises(SriovError, match=": 256 of 4096 pages are not as its guest has written them"):
        throwaway_memory.filled(host, VMS[0])


def test_a_guest_that_never_fills_its_memory_has_a_deadline(
    host: LiveHost, units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throwaway_memory, "FILLED_S", 0.2)
    begin = time.monotonic()
    with pytest.raises(SriovError, match=r"within 0\.2 s: its QEMU does not run"):
        throwaway_memory.filled(host, VMS[0])
    assert time.monotonic() - begin < 10
