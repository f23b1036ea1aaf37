# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel calls transient is tried again."""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.apply import ApplyError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError, SriovError, ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._sriovctl.boot_apply import BootApply
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import patience, process, read_once
from tests.fake.linux.host import FakeHost

PF = "0000:03:00.0"
SPEC: dict[str, Any] = {
    "pf": PF, "hardware_vfs": 4, "present_vfs": "all", "mtu": 9000,
    "vfs": [{"ids": "all", "driver": "vfio-pci", "vlan": 5, "trust": True}],
}  # fmt: skip
DOCUMENT = validate({"pfs": [SPEC]})


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setattr(patience, "TRANSIENT_PAUSE_S", 0.0)
    host = FakeHost(tmp_path, drivers=("igb", "igbvf", "vfio-pci"))
    host.igb(PF)
    return host


def actions(host: FakeHost) -> list[str]:
    """All that a run does, so that each may fail once."""
    converge(host.sysfs, host.run, DOCUMENT)
    return host.kinds


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EINTR])
def test_one_transient_answer_at_any_step_costs_nothing(host: FakeHost, tmp_path: Path, number: int) -> None:
    kinds = actions(host)
    assert {"program", "within"} <= set(kinds) or {"program", "write"} <= set(kinds)
    wanted = host.picture()
    for index in range(1, len(kinds) + 1):
        other = FakeHost(tmp_path / str(index), drivers=("igb", "igbvf", "vfio-pci"))
        other.igb(PF)
        other.faults = {index: number}
        assert converge(other.sysfs, other.run, DOCUMENT).plan.changed
        assert (other.picture(), len(other.struck)) == (wanted, 1)


# errno, part of the file or program that answers it, does it pass?
BUSY = [
    (errno.EBUSY, " vlan 5 ", True),
    (errno.EBUSY, "/net/eth0/mtu", True),
    (errno.EBUSY, "drivers_probe", True),
    (errno.EBUSY, "sriov_scan_vf_id", False),
    (errno.EBUSY, "sriov_numvfs_no_scan", False),
    (errno.EINVAL, " vlan 5 ", False),
    (errno.EIO, "drivers_probe", False),
]


@pytest.mark.parametrize(("number", "part", "passes"), BUSY)
def test_busy_is_transient_where_it_has_no_other_meaning(
    host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, part: str, passes: bool
) -> None:
    names: list[str] = []
    count = FakeHost.count

    def counted(self: FakeHost, what: str, kind: str) -> str:
        names.append(what)
        return count(self, what, kind)

    monkeypatch.setattr(FakeHost, "count", counted)
    actions(host)
    other = FakeHost(tmp_path / "other", drivers=("igb", "igbvf", "vfio-pci"))
    other.igb(PF)
    other.faults = {next(i for i, name in enumerate(names, 1) if part in name): number}
    if passes:
        assert converge(other.sysfs, other.run, DOCUMENT).plan.changed
    else:
        with pytest.raises(ApplyError, match="back in its previous state"):
            converge(other.sysfs, other.run, DOCUMENT)


WORDS = [
    ("Error: ice: VF 0 is still in reset. Try again.", True),
    ("RTNETLINK answers: Resource temporarily unavailable", True),
    ("devlink answers: Device or resource busy", True),
    ("Dump was interrupted and may be inconsistent.", True),
    ("RTNETLINK answers: Operation not supported", False),
    ("Error: Unknown device type.", False),
]


@pytest.mark.parametrize(("words", "passes"), WORDS)
def test_words_of_programs(words: str, passes: bool) -> None:
    assert patience.is_transient(ToolError(["ip"], 2, words)) is passes


def test_what_does_not_pass_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "TRANSIENT_S", 0.2)
    monkeypatch.setattr(patience, "TRANSIENT_PAUSE_S", 0.01)
    tries = []

    def busy(argv: Any) -> str:  # noqa: ANN401 - as `Run`
        tries.append(argv)
        raise ToolError(argv, 2, "RTNETLINK answers: Device or resource busy")

    run, start = read_once.patient(busy), time.monotonic()
    for _step in range(20):  # as an undo of many steps
        with pytest.raises(ToolError, match="resource busy"):
            run(["ip"])
    assert len(tries) > 40
    assert time.monotonic() - start < 2.0
    assert read_once.patient(process.refuse) is process.refuse


def test_a_removal_that_is_refused_is_not_repeated() -> None:
    """The series takes VFs away first, and adds them again."""
    for name in ("sriov_numvfs_no_scan", "sriov_remove_vf_id"):
        assert not patience.is_transient(KernelError("write", f"/sys/bus/pci/devices/{PF}/{name}", errno.EAGAIN, "0"))
    assert patience.is_transient(KernelError("write", f"/sys/bus/pci/devices/{PF}/sriov_numvfs", errno.EAGAIN, "4"))


def test_the_boot_unit_tries_again(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PF that is in reset longer than a run is patient."""
    monkeypatch.setattr(patience, "TRANSIENT_S", 0.0)
    (host.root / "proc/cmdline").write_text("quiet\n")
    host.faults = dict.fromkeys(range(1, 5), errno.EAGAIN)
    apply = BootApply(host.sysfs, host.run, lambda one: converge(host.sysfs, host.run, one), lambda _one: None, print)
    apply.apply(DOCUMENT, 30.0)
    assert host.pfs[PF].enabled == 4
    host.faults = dict.fromkeys(range(host.actions, host.actions + 99), errno.EAGAIN)
    host.kernel.write_pf(host.pfs[PF], "sriov_numvfs", "0")
    host.draw()
    late = BootApply(host.sysfs, host.run, lambda one: converge(host.sysfs, host.run, one), lambda _one: None, print)
    with pytest.raises(SriovError, match="EAGAIN"):
        late.apply(DOCUMENT, 0.0)
