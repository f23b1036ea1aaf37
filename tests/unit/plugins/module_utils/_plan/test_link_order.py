# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PF's interface is up where declared, or needed by its driver."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine import interface_link
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.apply import ApplyError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import Report, converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.drivers import ENABLE, RATES
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf
from tests.fake.scenarios.faults import KILL, Killed

PF = "0000:03:00.0"
RATE: dict[str, Any] = {"vfs": [{"ids": 0, "max_tx_rate": 100}]}
VFS: dict[str, Any] = {"hardware_vfs": 2, "present_vfs": "all"}


def host_with(
    folder: Path, driver: str = "igb", needs_up: frozenset[str] = RATES, interface: str = "vf-id"
) -> tuple[FakeHost, FakePf]:
    host = FakeHost(folder / "root", interface, drivers=("igbvf", driver))
    pf = host.igb(PF)
    pf.driver, pf.needs_up = driver, needs_up
    host.draw()
    return host, pf


def declare(host: FakeHost, **spec: Any) -> Report:  # noqa: ANN401 - values of a document
    return converge(host.sysfs, host.run, validate({"pfs": [{"pf": PF, **spec}]}))


def steps(report: Report) -> list[str]:
    return [f"{step.what} {step.after}" if step.what == "link" else step.what for step in report.plan.steps]


@pytest.mark.parametrize("driver", ["igb", "ixgbe", "be2net", "bnxt_en", "cxgb4", "hinic"])
def test_up_for_the_moment_of_a_rate(tmp_path: Path, driver: str) -> None:
    host, pf = host_with(tmp_path, driver)
    report = declare(host, **VFS, **RATE)
    assert (pf.properties[0]["max_tx_rate"], pf.up) == (100, False)
    found = [step for step in steps(report) if step.startswith(("link", "properties"))]
    assert found == ["link up", "properties", "link down"]
    assert not declare(host, **VFS, **RATE).plan.steps


@pytest.mark.parametrize("interface", ["vf-id", "stock"])
def test_up_for_the_moment_of_enabling(tmp_path: Path, interface: str) -> None:
    host, pf = host_with(tmp_path, "bnxt_en", frozenset({ENABLE}), interface)
    report = declare(host, **VFS)
    assert (pf.enabled, set(pf.vfs), pf.up) == (2, {0, 1}, False)
    assert steps(report)[0] == "link up"
    assert "link" not in " ".join(steps(declare(host, hardware_vfs=0, present_vfs="none")))


def test_an_address_of_octeontx2(tmp_path: Path) -> None:
    host, pf = host_with(tmp_path, "rvu_nicpf", frozenset({"mac", "vlan"}))
    declare(host, **VFS, vfs=[{"ids": 0, "mac": "02:00:00:00:00:01", "vlan": 3}])
    assert (pf.properties[0]["vlan"], pf.up) == (3, False)


def test_nothing_is_touched_that_is_up_or_needs_nothing(tmp_path: Path) -> None:
    host, pf = host_with(tmp_path)
    assert "link" not in " ".join(steps(declare(host, **VFS, vfs=[{"ids": 0, "vlan": 3}])))
    assert "link" not in " ".join(steps(declare(host, vfs=[{"ids": 0, "vlan": 4, "max_tx_rate": 0}])))
    pf.up = True
    host.draw()
    assert "link" not in " ".join(steps(declare(host, **RATE)))
    assert (pf.properties[0]["max_tx_rate"], pf.up) == (100, True)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("link", ["up", "down"])
def test_a_declared_link(tmp_path: Path, before: bool, link: str) -> None:
    host, pf = host_with(tmp_path)
    pf.up = before
    host.draw()
    declare(host, link=link, **VFS, **RATE)
    assert (pf.up, pf.properties[0]["max_tx_rate"]) == (link == "up", 100)
    assert not declare(host, link=link).plan.steps
    pf.up = not pf.up
    host.draw()
    assert steps(declare(host, link=link)) == [f"link {link}"]


def test_a_failure_takes_it_down_again(tmp_path: Path) -> None:
    """Before it is set down, and behind that."""
    host, pf = host_with(tmp_path)
    host.reluctant.add("vfio-pci")
    before = host.picture()
    for spec in ({**RATE, "hardware_vfs": 2}, {**VFS, "vfs": [*RATE["vfs"], {"ids": 1, "driver": "vfio-pci"}]}):
        pf.rejects = {"max_tx_rate": errno.EINVAL} if "present_vfs" not in spec else {}
        with pytest.raises(ApplyError, match="the PF is back in its previous state"):
            declare(host, **spec)
        assert (host.picture(), pf.up) == (before, False)


def test_the_run_after_a_killed_one_says_that_it_is_up(tmp_path: Path) -> None:
    """No run takes it down: somebody may use it by then."""
    host, pf = host_with(tmp_path / "whole")
    declare(host, **VFS, **RATE)
    seen = set()
    for action in range(1, host.actions + 1):
        host, pf = host_with(tmp_path / str(action))
        host.faults = {action: KILL}
        with pytest.raises(Killed):
            declare(host, **VFS, **RATE)
        host.faults, host.dead, left_up = {}, False, pf.up
        again = declare(host, **VFS, **RATE)
        said = any("had set the network interface up for a moment" in one for one in again.plan.warnings)
        assert (said, pf.up) == (left_up, left_up)
        assert pf.properties[0]["max_tx_rate"] == 100
        assert not declare(host, **VFS, **RATE).plan.warnings
        seen.add(left_up)
    assert seen == {True, False}


def test_what_another_driver_needs_is_a_hint(tmp_path: Path) -> None:
    hint = r"\(eth0 is down, and some drivers enable no VFs and set no properties then: declare link: up\)"
    host, pf = host_with(tmp_path, "fm10k", frozenset({ENABLE}))
    with pytest.raises(ApplyError, match=hint):
        declare(host, hardware_vfs=2, present_vfs="none")
    pf.needs_up = RATES
    with pytest.raises(ApplyError, match=hint):
        declare(host, **VFS, **RATE)
    declare(host, link="up", **VFS, **RATE)
    assert pf.properties[0]["max_tx_rate"] == 100


def test_without_an_interface_there_is_no_link(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "root")
    host.nvme(PF)
    with pytest.raises(BadInputError, match="link cannot be set: it has no network interface"):
        declare(host, link="up")


def test_a_link_that_takes_its_time_is_awaited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that never comes is no error: the driver answers."""
    host, pf = host_with(tmp_path, needs_up=frozenset())
    carrier = host.root / f"sys/bus/pci/devices/{PF}/net/eth0/carrier"
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            carrier.write_text("1\n")

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr(interface_link, "CARRIER_S", 60.0)
    real = host.run

    def without_carrier(argv: Any) -> str:  # noqa: ANN401 - words
        found = real(argv)
        if list(argv)[-1] == "up":
            carrier.write_text("0\n")
        return found

    converge(host.sysfs, without_carrier, validate({"pfs": [{"pf": PF, **VFS, **RATE}]}))
    assert (len(slept), pf.properties[0]["max_tx_rate"]) == (3, 100)
    pf.up = False
    host.draw()
    monkeypatch.setattr(interface_link, "CARRIER_S", 0.0)
    spec = {"pf": PF, "vfs": [{"ids": 1, "max_tx_rate": 50}]}
    converge(host.sysfs, without_carrier, validate({"pfs": [spec]}))
    assert pf.properties[1]["max_tx_rate"] == 50
