# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single actions: refused properties, late interfaces, errno by file."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine import execute, interface_name
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.errno_hints import is_no_choice, meaning
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.execute import act
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.actions import Action, ReadBack, SetEswitch, SetMtu
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import (
    DeadlineError,
    KernelError,
    PropertyError,
    ToolError,
    VerifyError,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.properties import VfProperties
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import PfState
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan import vf_actions
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan.steps import Step, set_properties
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import patience
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from tests.fake.linux.host import FakeHost
from tests.fake.linux.kernel import FakeKernel
from tests.fake.linux.pf import FakePf, FakeVf
from tests.fake.linux.sysfs import FakeSysfs

PF = "0000:03:00.0"
FOUND = VfProperties(
    "00:00:00:00:00:00",
    0,
    0,
    spoofchk=True,
    trust=False,
    link_state="auto",
    min_tx_rate=0,
    max_tx_rate=0,
    vlan_proto="802.1q",
    query_rss=False,
)


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.setup(host.add(FakePf(PF, netdev="eth0")), 4, [0, 1], "igbvf")
    return host


def steps(**spec: object) -> list[Step]:
    state = PfState(PF, 7, 4, netdev="eth0", properties={1: FOUND})
    return list(set_properties(state, 1, VfProperties(**spec)))  # type: ignore[arg-type]  # values of several types


def refusal(host: FakeHost, action: Action) -> PropertyError:
    with pytest.raises(PropertyError) as caught:
        act(host.sysfs, host.run, PF, action)
    return caught.value


# properties that the driver refuses, declared ones, named ones, errno
REFUSED: list[tuple[dict[str, int], dict[str, object], tuple[str, ...], int]] = [
    (
        {"trust": errno.EOPNOTSUPP},
        {"mac": "02:00:00:00:00:01", "spoofchk": False, "trust": True},
        ("trust",),
        errno.EOPNOTSUPP,
    ),
    ({"trust": errno.EOPNOTSUPP}, {"trust": True}, ("trust",), errno.EOPNOTSUPP),
    ({"min_tx_rate": errno.EINVAL}, {"vlan": 5, "min_tx_rate": 7}, ("min_tx_rate",), errno.EINVAL),
    ({"vlan": errno.EPERM}, {"vlan": 5, "qos": 3, "trust": True}, ("vlan", "qos"), errno.EPERM),
    ({}, {"max_tx_rate": 5, "min_tx_rate": 7}, ("max_tx_rate", "min_tx_rate"), errno.EINVAL),
]


@pytest.mark.parametrize(("rejects", "spec", "named", "number"), REFUSED)
def test_refused_property_is_named(
    host: FakeHost, rejects: dict[str, int], spec: dict[str, object], named: tuple[str, ...], number: int
) -> None:
    host.pfs[PF].rejects = rejects
    error = refusal(host, steps(**spec)[0].action)
    assert (error.properties, error.errno) == (named, number)
    assert str(error).startswith(f"the kernel refused {named[0]} {spec[named[0]]}")
    assert f": {errno.errorcode[number]} (" in str(error).replace("EOPNOTSUPP", errno.errorcode[number])


def test_protocol_is_refused_with_its_vlan(host: FakeHost) -> None:
    host.pfs[PF].vlan_protos = ("802.1q",)
    error = refusal(host, steps(vlan=5, vlan_proto="802.1ad", mac="02:00:00:00:00:01")[0].action)
    assert str(error) == (
        "the kernel refused vlan 5, vlan_proto 802.1ad: EPROTONOSUPPORT (Protocol not supported); 'ip link set dev "
        "eth0 vf 1 vlan 5 qos 0 proto 802.1ad' ended with status 2: RTNETLINK answers: Protocol not supported"
    )


def test_failure_that_no_property_repeats_is_reported_as_it_was(host: FakeHost) -> None:
    host.faults = {1: errno.ENOMEM}
    with pytest.raises(ToolError, match="Cannot allocate memory") as caught:
        act(host.sysfs, host.run, PF, steps(vlan=5, trust=True)[0].action)
    assert not isinstance(caught.value, PropertyError)


def test_a_driver_that_keeps_its_errno(host: FakeHost) -> None:
    """A driver's own text without an errno, as `ip` prints it."""

    def run(argv: Sequence[str]) -> str:
        raise ToolError(argv, 2, "Error: mydriver: not today.")

    with pytest.raises(
        PropertyError, match=r"refused trust True: an error without a number; .*mydriver: not today"
    ) as caught:
        act(host.sysfs, run, PF, steps(trust=True)[0].action)
    assert caught.value.errno == 0


def test_guids_are_written_one_by_one(tmp_path: Path) -> None:
    """One command for each GUID.

    Of two in one command the kernel would drop the second without an error.
    """
    host = FakeHost(tmp_path)
    pf = host.ipoib()
    host.setup(pf, 2)
    both = ["ip", "link", "set", "dev", "ib0", "vf", "1", "node_guid", "02:" * 7 + "01", "port_guid", "02:" * 7 + "02"]
    host.run(both)
    assert (pf.properties[1]["node_guid"], pf.properties[1]["port_guid"]) == ("02:" * 7 + "01", "00:" * 7 + "00")
    state = PfState(pf.address, 8, 2, netdev="ib0", properties={1: VfProperties()})
    spec = VfProperties(link_state="enable", node_guid="02:" * 7 + "03", port_guid="02:" * 7 + "04")
    made = list(set_properties(state, 1, spec))
    assert len(made) == 2
    for step in made:
        act(host.sysfs, host.run, PF, step.action)
    assert {name: pf.properties[1][name] for name in spec.to_dict()} == spec.to_dict()


def test_read_back_says_what_the_driver_reports(host: FakeHost) -> None:
    with pytest.raises(VerifyError, match=r"VF 1 of eth0: wanted trust on, the driver reports trust off"):
        act(host.sysfs, host.run, PF, ReadBack(PF, "eth0", {1: VfProperties(trust=True, vlan=0)}))


def test_mtu_waits_for_the_interface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "vf/net/eth4"
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        folder.mkdir(parents=True)
        (folder / "mtu").write_text("1500")

    monkeypatch.setattr(time, "sleep", sleep)
    act(Sysfs(str(tmp_path)), lambda argv: "", PF, SetMtu("/vf", 9000))
    assert ((folder / "mtu").read_text(), len(slept)) == ("9000", 1)


def test_mtu_without_an_interface_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (execute, interface_name):
        monkeypatch.setattr(module, "NETDEV_S", 0.0)
    with pytest.raises(DeadlineError, match="no network interface appeared in /vf/net within 0 s"):
        act(Sysfs(str(tmp_path)), lambda argv: "", PF, SetMtu("/vf", 9000))


def test_eswitch(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    pf = host.mlx5()
    act(host.sysfs, host.run, pf.address, SetEswitch(pf.address, "switchdev"))
    assert pf.eswitch == "switchdev"
    pf.vfs_first, pf.eswitch = True, "legacy"
    with pytest.raises(ToolError, match=r"mlx5_core: .*kernel answers: Invalid argument"):
        act(host.sysfs, host.run, pf.address, SetEswitch(pf.address, "switchdev"))


PROBED = vf_actions.probe(PfState(PF, 7, 4), 0)
BIND = "/sys/bus/pci/drivers/vfio-pci/bind"


def unbound(host: FakeHost, override: str | None) -> FakeVf:
    vf = host.pfs[PF].vfs[0]
    vf.driver, vf.override = None, override
    host.drivers.add("vfio-pci")
    host.pfs[PF].autoprobe = False
    host.draw()
    return vf


def test_a_vf_without_driver_is_bound_to_learn_why(host: FakeHost) -> None:
    vf = unbound(host, "vfio-pci")
    host.reluctant.add("vfio-pci")
    with pytest.raises(KernelError, match=f"cannot write '{vf.address}' to {BIND}: ENODEV"):
        act(host.sysfs, host.run, PF, PROBED)
    host.reluctant.clear()
    act(host.sysfs, host.run, PF, PROBED)
    assert (vf.driver, [path for path, _value in host.sysfs.writes]) == ("vfio-pci", [PROBED.path] * 2)


def test_a_probe_that_was_put_off_is_tried_again(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """EAGAIN for a probe that waits for something (drivers/base/dd.c, EPROBE_DEFER)."""
    vf, answers = unbound(host, "vfio-pci"), [errno.EAGAIN, errno.EAGAIN]
    monkeypatch.setattr(host.kernel, "probe", lambda *_vf: None)
    probe = FakeKernel.probe

    def bind(self: FakeSysfs, driver: str, value: str) -> None:
        if answers:
            raise OSError(answers.pop(), value)
        probe(host.kernel, *self._vf(value))

    monkeypatch.setattr(FakeSysfs, "_bind", bind)
    act(host.sysfs, host.run, PF, PROBED)
    assert (vf.driver, answers) == ("vfio-pci", [])


@pytest.mark.parametrize(("late", "bound"), [("vfio-pci", True), ("igbvf", False)])
def test_a_driver_that_came_meanwhile(host: FakeHost, monkeypatch: pytest.MonkeyPatch, late: str, bound: bool) -> None:
    """Its errno is no failure where the driver is the wanted one."""
    vf = unbound(host, "vfio-pci")
    monkeypatch.setattr(host.kernel, "probe", lambda *_vf: None)
    monkeypatch.setattr(patience, "TRANSIENT_S", 0.0)

    def bind(_self: FakeSysfs, _driver: str, value: str) -> None:
        vf.driver = late
        raise OSError(errno.EBUSY, value)

    monkeypatch.setattr(FakeSysfs, "_bind", bind)
    if bound:
        act(host.sysfs, host.run, PF, PROBED)
    else:
        with pytest.raises(KernelError, match="EBUSY"):
            act(host.sysfs, host.run, PF, PROBED)


@pytest.mark.parametrize("override", [None, "no-such-driver", "../drivers/vfio-pci"])
def test_no_driver_to_ask(host: FakeHost, override: str | None) -> None:
    """Autoprobe off, a module that is not loaded, or no name."""
    unbound(host, override)
    act(host.sysfs, host.run, PF, PROBED)
    assert [path for path, _value in host.sysfs.writes] == [PROBED.path]


# file, errno, words, whether the driver wants all VFs present
MEANINGS = [
    ("sriov_scan_vf_id", errno.EOPNOTSUPP, "has not declared that it can live with absent VFs", True),
    ("sriov_numvfs", errno.EOPNOTSUPP, "offers no VFs as it is now", False),
    ("sriov_numvfs", errno.ENOMEM, "'above 4G decoding' in the firmware, or boot with pci=realloc", False),
    ("sriov_numvfs_no_scan", errno.ENOMEM, "pci=realloc", False),
    ("sriov_numvfs", errno.ENOSPC, "no MSI-X vectors or queues for that many VFs", False),
    ("sriov_numvfs", errno.EPERM, "VFs are assigned to VMs", False),
    ("sriov_numvfs", errno.ENOSYS, "was built without SR-IOV", False),
    ("sriov_numvfs", errno.EIO, "the device or its firmware failed", False),
    ("sriov_scan_vf_id", errno.EEXIST, "is present already", False),
    ("sriov_remove_vf_id", errno.ENODEV, "not present any more", False),
    ("mtu", errno.EBUSY, "XDP program", False),
    ("sriov_numvfs", errno.ENOENT, "has no driver that supports SR-IOV", False),
    ("virtfn3/sriov_vf_msix_count", errno.EOPNOTSUPP, "cannot change the MSI-X vectors", False),
    ("virtfn3/sriov_vf_msix_count", errno.ENOSPC, "has not so many vectors left", False),
    ("virtfn3/sriov_vf_msix_count", errno.EBUSY, "the VF is bound to a driver", False),
    ("net/eth0/mtu", errno.EINVAL, "does not take this MTU", False),
    ("driver_override", errno.EINVAL, "", False),
    ("virtfn0/drivers_probe", errno.EINVAL, "failed to take the VF", False),
    ("/drivers/vfio-pci/bind", errno.ENODEV, "does not take the VF", False),
    ("/drivers/vfio-pci/bind", errno.EAGAIN, "waits for another one", False),
    ("virtfn0/driver/unbind", errno.ENODEV, "another driver", False),
    ("virtfn0/driver_override", errno.ENODEV, "has gone", False),
]


@pytest.mark.parametrize(("file", "number", "words", "all_present"), MEANINGS)
def test_meanings(file: str, number: int, words: str, all_present: bool) -> None:
    error = KernelError("write", f"/sys/bus/pci/devices/{PF}/{file}", number, "1")
    assert words in meaning(error)
    assert bool(meaning(error)) == bool(words)
    assert is_no_choice(error) == all_present


IP = ("ip", "link", "set", "dev", "eth0", "vf", "1", "trust", "on")
ESWITCH = ("devlink", "dev", "eswitch", "set", f"pci/{PF}", "mode", "switchdev")
# program, its words, words of the meaning
ANSWERS = [
    *((IP, f"RTNETLINK answers: {os.strerror(number)}", words) for number, words in (
        (errno.EOPNOTSUPP, "cannot set it"), (errno.EINVAL, "no such value"), (errno.EPERM, "CAP_NET_ADMIN"),
        (errno.EBUSY, "in reset"), (errno.EAGAIN, "in reset"), (errno.ENODEV, "has gone"),
        (errno.ENOENT, "not enabled"), (errno.ERANGE, "more than"),
        (errno.EADDRNOTAVAIL, "this MAC"), (errno.EEXIST, "another function"),
        (errno.ENOSPC, "filters"), (errno.ENOMEM, "memory"), (errno.ENETDOWN, "is down"), (errno.EIO, "dmesg"),
        (errno.ETIMEDOUT, "did not answer"), (errno.EPROTONOSUPPORT, "802.1q"),
    )),
    (IP, "RTNETLINK answers: Unknown error 524", "cannot set it"),
    *((ESWITCH, f"kernel answers: {os.strerror(number)}", words) for number, words in (
        (errno.EOPNOTSUPP, "cannot set it"), (errno.EINVAL, "no such value"), (errno.EPERM, "CAP_NET_ADMIN"),
        (errno.EBUSY, "offloaded"), (errno.EAGAIN, "in reset"), (errno.ENODEV, "has gone"), (errno.ENOMEM, "memory"),
        (errno.ENOSPC, "flow tables"), (errno.EIO, "dmesg"), (errno.ETIMEDOUT, "did not answer"),
    )),
    (IP, "Error: mydriver: not today.", ""),
    (("ip", "link", "set", "dev", "eth0", "up"), "RTNETLINK answers: Invalid argument", ""),
    (("devlink", "dev", "eswitch", "show", f"pci/{PF}"), "kernel answers: Invalid argument", ""),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "answer", "words"), ANSWERS)
def test_meanings_of_programs(argv: tuple[str, ...], answer: str, words: str) -> None:
    error = ToolError(argv, 2, answer)
    assert words in meaning(error)
    assert bool(meaning(error)) == bool(words)


def test_a_refused_property_has_a_meaning(host: FakeHost) -> None:
    host.pfs[PF].rejects = {"trust": errno.EOPNOTSUPP}
    assert "cannot set it as it is now" in meaning(refusal(host, steps(trust=True)[0].action))


def test_other_errors_mean_themselves() -> None:
    assert meaning(ToolError(["ip"], 1, "no")) == ""
    assert not is_no_choice(VerifyError("no"))
