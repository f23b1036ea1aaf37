# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot in fake time: PFs appear, and are applied."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import HostDocument, validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import Report, converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.deadlines import BOOT_PAUSE_S
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import (
    BadInputError,
    DeadlineError,
    KernelError,
    RefusedError,
    SriovError,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._sriovctl.boot_apply import BootApply, merged
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf
from tests.fake.linux.users import put

A, B, C = "0000:03:00.0", "0000:04:00.0", "0000:05:00.0"
Event = Callable[[FakeHost], object]


@dataclass
class Boot:
    """A host whose ``events`` happen at their seconds."""

    host: FakeHost
    events: dict[float, Event] = field(default_factory=dict)
    now: float = 0.0
    reports: list[Report] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    only: str | None = None
    costs: float = 0.0

    def apply(self, *specs: dict[str, Any], wait: float = 10.0) -> None:
        one = BootApply(
            self.host.sysfs, self.host.run, self.bring, self.reports.append, self.messages.append, self.only,
            self.sleep, lambda: self.now,
        )  # fmt: skip
        one.apply(validate({"pfs": list(specs)}), wait)

    def bring(self, document: HostDocument) -> Report:
        report = converge(self.host.sysfs, self.host.run, document)
        self.sleep(self.costs)
        return report

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for at in sorted(at for at in self.events if at <= self.now):
            self.events.pop(at)(self.host)
            self.host.draw()

    def done(self) -> list[list[str]]:
        """The PFs of each report."""
        return [[plan.current.address for plan in report.plan.plans] for report in self.reports]

    def enabled(self) -> dict[str, int]:
        return {address: pf.enabled for address, pf in self.host.pfs.items()}


@pytest.fixture
def boot(tmp_path: Path) -> Boot:
    """A boot with PF A there from the start."""
    host = FakeHost(tmp_path)
    host.igb(A)
    put(host, "proc/sys/kernel/random/boot_id", "b1\n")
    put(host, "proc/cmdline", "quiet\n")
    return Boot(host)


def spec(pf: object, **more: object) -> dict[str, Any]:
    return {"pf": pf, "hardware_vfs": 2, **more}


def appears(address: str, netdev: str | None = None, driver: str | None = "igb") -> Event:
    return lambda host: host.add(FakePf(address, driver=driver, netdev=netdev))


def both(*events: Event) -> Event:
    def happen(host: FakeHost) -> None:
        for event in events:
            event(host)

    return happen


def gets(address: str, name: str, value: object) -> Event:
    return lambda host: setattr(host.pfs[address], name, value)


def update(host: FakeHost) -> None:
    status = {"manifest": "m1", "phase": "armed", "boot_id": "b1", "time": 1.0, "message": ""}
    put(host, "var/lib/kvmfleet-sriov/live-update/status.json", json.dumps(status))


def test_all_there_is_one_round(boot: Boot) -> None:
    boot.host.igb(B, "eth1")
    boot.apply(spec(A), spec("eth1"))
    assert (boot.done(), boot.now, boot.messages) == ([[A, B]], 0.0, [])
    assert boot.enabled() == {A: 2, B: 2}


def test_each_as_it_comes(boot: Boot) -> None:
    """PFs applied one by one, as they become ready.

    B comes without a driver, then has it, then the interface that its VLAN needs; C is bound already.
    """
    boot.events = {
        1.0: appears(B, driver=None),
        2.0: gets(B, "driver", "igb"),
        3.0: appears(C, netdev="eth2"),
        4.0: gets(B, "netdev", "eth1"),
    }
    boot.apply(spec(B, vfs=[{"ids": 0, "vlan": 5}]), spec(A), spec("eth2"))
    assert boot.done() == [[A], [C], [B]]
    assert 4.0 <= boot.now <= 4.0 + 2 * BOOT_PAUSE_S
    assert boot.host.pfs[B].properties[0]["vlan"] == 5
    assert boot.messages == [f"waiting up to 10 s for PF {B}; PF eth2"]


def test_one_that_never_comes_stops_no_other(boot: Boot) -> None:
    boot.events = {9.9: appears(C)}
    with pytest.raises(DeadlineError) as caught:
        boot.apply(spec({"driver": "ice"}), spec("eth7"))
    assert str(caught.value) == "after 10 s this is still missing: PF {driver: ice}; PF eth7"
    with pytest.raises(SriovError, match=r"^after 10 s this is still missing: PF eth7$"):
        boot.apply(spec("eth7"), spec(C))
    assert boot.done() == [[C]]
    assert boot.enabled() == {A: 0, C: 2}


def test_without_time_to_wait(boot: Boot) -> None:
    """A run without waiting, which applies all PFs there are."""
    with pytest.raises(SriovError, match="after 0 s this is still missing: PF eth7"):
        boot.apply(spec("eth7"), spec(A), wait=0)
    assert (boot.enabled(), boot.now) == ({A: 2}, 0.0)


def test_one_that_comes_while_others_are_applied_is_not_overlooked(boot: Boot) -> None:
    """A PF that appears while another is applied.

    It counts after the deadline, too: the run that udev starts for it does nothing while this one runs.
    """
    boot.costs = 15.0
    boot.events = {12.0: appears(B, netdev="eth1")}
    boot.apply(spec(A), spec(B))
    assert boot.done() == [[A], [B]]


# selector, what comes when, the PF that is meant, at about when
SELECTORS: list[tuple[dict[str, Any], dict[float, Event], list[list[str]], float]] = [
    ({"driver": "igb"}, {}, [[A]], 0.0),
    ({"driver": "igb"}, {0.0: appears(B, driver=None), 2.0: gets(B, "driver", "nvme")}, [[A]], 2.0),
    ({"driver": "igb"}, {0.0: appears(B, driver=None)}, [[A]], 10.0),
    ({"driver": "igb", "index": 0}, {0.0: appears(B, driver=None)}, [[A]], 0.0),
    ({"driver": "igb", "index": 1}, {0.0: appears(B, driver=None), 2.0: gets(B, "driver", "igb")}, [[B]], 2.0),
    (
        {"driver": "igb", "index": 1},
        {0.0: both(appears(B, driver=None), appears(C)), 2.0: gets(B, "driver", "igb")},
        [[B]],
        2.0,
    ),
    ({"driver": "igb", "all": True}, {0.0: appears(B, driver=None), 2.0: gets(B, "driver", "igb")}, [[A], [B]], 2.0),
    ({"driver": "igb", "all": True}, {0.0: appears(B, driver=None)}, [[A]], 10.0),
]


@pytest.mark.parametrize(("selector", "events", "done", "at"), SELECTORS)
def test_selectors(
    boot: Boot, selector: dict[str, Any], events: dict[float, Event], done: list[list[str]], at: float
) -> None:
    boot.events = dict(events)
    boot.sleep(0.0)
    boot.apply(spec(selector))
    assert boot.done() == done
    assert at <= boot.now <= at + 2 * BOOT_PAUSE_S


def test_an_index_is_not_guessed(boot: Boot) -> None:
    """An index that waits for a driver that never binds.

    B comes before C, so that C is not number 1.
    """
    boot.host.add(FakePf(B, driver=None))
    boot.host.add(FakePf(C))
    with pytest.raises(DeadlineError, match=rf"which one PF .* is: the driver of {B}"):
        boot.apply(spec({"driver": "igb", "index": 1}))
    assert set(boot.enabled().values()) == {0}


# specs that fail beside one that does not, the kind of error, its words
FAILURES: list[tuple[list[dict[str, Any]], str]] = [
    ([spec(B, hardware_vfs=99)], "hardware_vfs 99 is out of range"),
    ([spec({"driver": "igb"})], "is not one PF, 2 match"),
    ([spec("eth1", hardware_vfs=3), spec(B, hardware_vfs=9)], rf"PF {B} is declared twice, as 'eth1' and '{B}'"),
    ([spec(B, hardware_vfs=1)], "requires disabling all VFs first"),
]


@pytest.mark.parametrize(("specs", "words"), FAILURES)
def test_one_that_fails_stops_no_other(boot: Boot, specs: list[dict[str, Any]], words: str) -> None:
    boot.host.setup(boot.host.igb(B, "eth1"), *((2, [0]) if "disabling" in words else (0,)))
    with pytest.raises(SriovError, match=words) as caught:
        boot.apply(*specs, spec(A))
    assert type(caught.value) is SriovError  # neither bad_input nor refused: something was changed
    assert boot.host.pfs[A].enabled == 2
    assert boot.host.pfs[B].enabled == (2 if "disabling" in words else 3 if "twice" in words else 0)


def test_the_kernel_says_no_to_one(boot: Boot) -> None:
    boot.host.igb(B, "eth1")
    boot.host.faults = {1: 5}
    with pytest.raises(SriovError, match="EIO"):
        boot.apply(spec(A), spec(B))
    assert sorted(boot.enabled().values()) == [0, 2]


def test_an_error_alone_stays_what_it_is(boot: Boot) -> None:
    """An error of its own kind, for the exit status."""
    with pytest.raises(BadInputError):
        boot.apply(spec(A, hardware_vfs=99))
    boot.host.setup(boot.host.pfs[A], 2, [0])
    with pytest.raises(RefusedError):
        boot.apply(spec(A, hardware_vfs=3))


def test_a_pf_that_goes_away_while_it_is_read(boot: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    read, broken = boot.host.sysfs.read, [True, True]

    def once(path: str) -> str:
        if path.endswith("/sriov_totalvfs") and broken:
            broken.pop()
            raise KernelError("read", path, 19)
        return read(path)

    monkeypatch.setattr(boot.host.sysfs, "read", once)
    boot.apply(spec(A))
    assert (boot.done(), broken) == ([[A]], [])


def test_a_live_update_that_begins_meanwhile(boot: Boot) -> None:
    boot.events = {1.0: both(update, appears(B))}
    with pytest.raises(RefusedError, match="a live update of this host is under way"):
        boot.apply(spec(A), spec(B))
    assert boot.enabled() == {A: 2, B: 0}


def test_only_one(boot: Boot) -> None:
    """One declared PF; others are neither touched nor awaited."""
    boot.only = B
    boot.host.igb(B, "eth1")
    boot.apply(spec(A), spec({"class": "network", "all": True}), spec("0000:99:00.0"))
    assert (boot.enabled(), boot.now) == ({A: 0, B: 2}, 0.0)
    boot.only = C
    boot.host.add(FakePf(C))
    boot.apply(spec(A), spec(B))
    assert (boot.host.pfs[C].enabled, boot.now) == (0, 0.0)


def test_only_one_that_is_named_by_its_interface(boot: Boot) -> None:
    """A PF whose interface appears after its driver.

    A name that was not its own is no error.
    """
    boot.only = B
    boot.host.add(FakePf(B))
    boot.events = {2.0: gets(B, "netdev", "eth1")}
    boot.apply(spec("eth7"), spec("eth1"))
    assert boot.done() == [[B]]
    boot.only, boot.reports = A, []
    boot.apply(spec("eth7"), wait=5)
    assert boot.done() == []


def test_only_one_that_does_not_get_ready(boot: Boot) -> None:
    boot.only = B
    boot.host.add(FakePf(B))
    with pytest.raises(DeadlineError, match=f"the network interface of PF {B}$"):
        boot.apply(spec(B, vfs=[{"ids": 0, "vlan": 5}]))


def test_reports_as_one(boot: Boot) -> None:
    boot.events = {1.0: appears(B)}
    boot.apply(spec(A), spec(B))
    one = merged(boot.reports).to_dict(diff=True)
    assert [row["pf"] for row in one["steps"]] == [A, A, B, B]
    assert len(one["times"]) == 4
    assert set(one["diff"]["after"]) == {A, B}
    assert one["seconds"] >= 0
