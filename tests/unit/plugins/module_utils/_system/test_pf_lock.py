# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs at once: the second waits for the first.

It reports for whom it waits, and plans from what the first has left.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, save
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.status import write_status
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import (
    BadInputError,
    BusyError,
    KernelError,
    RefusedError,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import PF_LOCKS
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import blocked, pf_lock
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.update_folder import ARMED, Folder
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode, Rebooted
from tests.fake.vm.update import arm, jump, phase

IGB, NVME = "0000:03:00.0", "0000:04:00.0"
ROOT = Path(__file__).parents[5]
PROGRAM = """
import sys
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import pf_lock
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BlockedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
sysfs = Sysfs(sys.argv[1])
with pf_lock.held(sysfs, [sys.argv[2]]):
    if len(sys.argv) > 3:
        try:
            sysfs.write_within(sys.argv[3], "0", sys.argv[2], 0.2)
        except BlockedError:
            pass
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.igb(IGB)
    host.nvme(NVME)
    return host


@pytest.fixture
def other(host: FakeHost) -> Iterator[subprocess.Popen[str]]:
    """A run of another program, with the first PF's lock."""
    process = started(host, IGB)
    yield process
    process.kill()
    process.communicate()


def started(host: FakeHost, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "build/src")}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(host.root), *words],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == "locked\n"
    return process


def bring(host: FakeHost, pf: str = IGB, lock_s: float | None = 0.1, **spec: Any) -> converge.Report:  # noqa: ANN401 - values of several types
    document = validate({"pfs": [{"pf": pf, **spec}]})
    return converge.converge(host.sysfs, host.run, document, lock_s=lock_s)


def test_the_second_names_the_first(host: FakeHost, other: subprocess.Popen[str]) -> None:
    with pytest.raises(BusyError) as caught:
        bring(host, hardware_vfs=3)
    assert re.fullmatch(
        rf"PF {IGB}: process {other.pid} \(state S.*\), '-c {host.root} {IGB}', has been changing it for \d+ s; it has "
        r"not ended within 0\.1 s\. Nothing was changed: wait for its end, or end it, and try again",
        str(caught.value),
    )
    assert host.sysfs.writes == []


def test_other_pfs_are_free(host: FakeHost, other: subprocess.Popen[str]) -> None:
    assert bring(host, NVME, hardware_vfs=3).plan.changed
    both = {"pfs": [{"pf": address, "hardware_vfs": 4} for address in (NVME, IGB)]}
    with pytest.raises(BusyError, match=f"^PF {IGB}"):
        converge.converge(host.sysfs, host.run, validate(both), lock_s=0.1, allow_disruptive=True)
    assert other.poll() is None
    assert host.pfs[NVME].enabled == 3


def test_who_does_not_write_does_not_wait(host: FakeHost, other: subprocess.Popen[str]) -> None:
    """Check mode and the resume of a live update do not wait.

    The resume's VMs wait already.
    """
    document = validate({"pfs": [{"pf": IGB, "hardware_vfs": 3}]})
    assert converge.converge(host.sysfs, host.run, document, check=True).plan.changed
    bring(host, lock_s=None, hardware_vfs=3)
    assert (host.pfs[IGB].enabled, other.poll()) == (3, None)


def test_nothing_to_do_may_change_while_another_is_at_work(host: FakeHost, other: subprocess.Popen[str]) -> None:
    with pytest.raises(BusyError):
        bring(host, hardware_vfs=0)
    other.communicate("")
    assert not bring(host, hardware_vfs=0).plan.changed


def test_nothing_to_do_leaves_no_file(host: FakeHost) -> None:
    bring(host, hardware_vfs=0)
    assert not (host.root / "run").exists()


def test_a_run_that_is_killed_holds_nothing(host: FakeHost, other: subprocess.Popen[str]) -> None:
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert bring(host, hardware_vfs=3).plan.changed


def test_a_writer_that_is_left_behind_holds_nothing(host: FakeHost) -> None:
    """A blocked writer without the lock of the run.

    Only the PF's own writes are refused then (`blocked`).
    """
    fifo = host.root / "run/fifo"
    fifo.parent.mkdir()
    os.mkfifo(fifo)
    process = started(host, IGB, "/run/fifo")
    assert list(blocked.under_way(host.sysfs)) == [IGB]
    process.communicate("")
    assert process.returncode == 0
    assert list(blocked.under_way(host.sysfs)) == [IGB]
    assert pf_lock.busy(host.sysfs) == []
    with pf_lock.held(host.sysfs, [IGB], 0.0), open(fifo) as reader:
        assert reader.read() == "0"


def test_the_lock_is_held_to_the_last_reading_and_not_longer(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    write = host.sysfs.write

    def observed(path: str, value: str) -> None:
        write(path, value)
        seen.append(pf_lock.busy(host.sysfs))

    monkeypatch.setattr(host.sysfs, "write", observed)
    document = validate({"pfs": [{"pf": IGB, "hardware_vfs": 3, "present_vfs": "1"}, {"pf": NVME}]})
    converge.converge(host.sysfs, host.run, document)
    assert seen == [[IGB, NVME]] * 2
    assert pf_lock.busy(host.sysfs) == []
    signed = (host.root / PF_LOCKS.lstrip("/") / IGB).read_text().split(" ")
    assert signed[0] == str(os.getpid())


def test_the_second_plans_from_what_the_first_has_left(host: FakeHost) -> None:
    """A plan from the reading that is made with the lock.

    The second run has read the PF before the first changed it, too.
    """
    entered = threading.Event()
    reports: list[converge.Report] = []
    second = threading.Thread(target=lambda: reports.append(bring(host, lock_s=20, present_vfs="1-2")))
    host.setup(host.pfs[IGB], 7, [0])
    held = pf_lock.held

    def noted(*words: Any) -> Any:  # noqa: ANN401 - as `held`
        entered.set()
        return held(*words)

    with pytest.MonkeyPatch.context() as patch, held(host.sysfs, [IGB]):
        patch.setattr(pf_lock, "held", noted)
        second.start()
        assert entered.wait(20)
        bring(host, lock_s=None, present_vfs="0,2")
    second.join(20)
    (report,) = reports
    assert [step.what for step in report.plan.steps] == ["remove", "add"]
    assert set(host.pfs[IGB].vfs) == {1, 2}


def test_what_is_not_understood_is_read_again(host: FakeHost, other: subprocess.Popen[str]) -> None:
    """A document read again, when another run has ended.

    Between two states of another run, ids that it is about to enable are out of range.
    """
    waited: list[list[str]] = []
    held = pf_lock.held

    def release(sysfs: Sysfs, addresses: list[str], wait_s: float) -> Any:  # noqa: ANN401 - as `held`
        waited.append(addresses)
        if other.poll() is None:
            host.setup(host.pfs[IGB], 4)
            other.communicate("")
        return held(sysfs, addresses, wait_s)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pf_lock, "held", release)
        bring(host, present_vfs="3")
    assert set(host.pfs[IGB].vfs) == {3}
    assert waited == [[IGB], [IGB]]
    with pytest.raises(BadInputError, match="present_vfs: 5 is out of range"):
        bring(host, present_vfs="5")


def test_a_live_update_that_began_meanwhile_is_seen(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """A live update armed between the reading and the lock.

    The check is after the lock, so that an arming run sees the lock, or is seen.
    """
    (host.root / "proc/sys/kernel/random").mkdir(parents=True)
    (host.root / "proc/sys/kernel/random/boot_id").write_text("1\n")
    (host.root / "proc/cmdline").write_text("quiet\n")
    held = pf_lock.held

    def armed(*words: Any) -> Any:  # noqa: ANN401 - as `held`
        folder = Folder.of(host.sysfs)
        os.makedirs(folder.path)
        write_status(folder, "m", ARMED, "1", 0.0)
        return held(*words)

    monkeypatch.setattr(pf_lock, "held", armed)
    with pytest.raises(RefusedError, match="a live update of this host is under way"):
        bring(host, hardware_vfs=3)
    assert host.sysfs.writes == []


def test_specs_that_mean_another_pf_now(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    held = pf_lock.held

    def renamed(*words: Any) -> Any:  # noqa: ANN401 - as `held`
        host.pfs[IGB].netdev, host.pfs[NVME].netdev = None, "eth0"
        host.draw()
        return held(*words)

    monkeypatch.setattr(pf_lock, "held", renamed)
    with pytest.raises(RefusedError, match=f"the document meant PFs {IGB}, and now {NVME}: try again"):
        bring(host, "eth0", hardware_vfs=3)
    assert host.sysfs.writes == []


def test_refusing_at_once(host: FakeHost, other: subprocess.Popen[str]) -> None:
    pf_lock.refuse_busy(host.sysfs, [NVME])
    with pytest.raises(RefusedError, match=rf"^PF {IGB}: process {other.pid} .*; wait for its end, or end it$"):
        pf_lock.refuse_busy(host.sysfs, [NVME, IGB])


def test_a_holder_that_has_not_signed_yet(host: FakeHost, other: subprocess.Popen[str]) -> None:
    (host.root / PF_LOCKS.lstrip("/") / IGB).write_text("")
    assert other.poll() is None
    with pytest.raises(RefusedError, match=f"PF {IGB}: another run is changing it; wait"):
        pf_lock.refuse_busy(host.sysfs, [IGB])


def test_a_lock_that_cannot_be_made(host: FakeHost) -> None:
    (host.root / PF_LOCKS.lstrip("/") / IGB).mkdir(parents=True)
    with pytest.raises(KernelError, match=rf"cannot open {PF_LOCKS}/{IGB}: EISDIR"):
        bring(host, hardware_vfs=3)
    assert host.sysfs.writes == []


def test_a_live_update_does_not_begin_beside_a_run(node: FakeNode, pf: FakePf) -> None:
    """A live update that stays armed, with no VM touched."""
    arm(node)
    with (
        pf_lock.held(node.live.sysfs, [pf.address]),
        pytest.raises(RefusedError, match=f"PF {pf.address}: process {os.getpid()} .*; wait for its end"),
    ):
        save.run(node.live)
    assert (phase(node), node.live_vm("web1") is not None) == (ARMED, True)
    with pytest.raises(Rebooted):
        save.run(node.live)


def test_the_resume_of_a_live_update_waits_for_nobody(node: FakeNode, pf: FakePf) -> None:
    jump(node)
    with pf_lock.held(node.live.sysfs, [pf.address]):
        assert resume.resume(node.live) == "done"


def test_bad_input_about_another_pf_waits_for_nobody(host: FakeHost, other: subprocess.Popen[str]) -> None:
    """Bad input of another PF, reported at once."""
    del other
    document = validate({"pfs": [{"pf": NVME, "hardware_vfs": 999}]})
    with pytest.raises(BadInputError, match="999"):
        converge.converge(host.sysfs, host.run, document, lock_s=0.0)
