# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applying settings of PFs and VFs: failures, and their undo.

All of it is on a fake host.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine import converge, execute
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.apply import ApplyError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import RefusedError
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf
from tests.fake.linux.sysfs import FakeSysfs

MLX5 = "0000:05:00.0"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path, drivers=("mlx5_core", "iavf", "vfio-pci"))


def mlx5(host: FakeHost, **changes: Any) -> FakePf:  # noqa: ANN401 - fields of several types
    return host.mlx5(MLX5, netdev="eth5", **changes)


def failure(host: FakeHost, spec: dict[str, Any]) -> str:
    before = host.picture()
    with pytest.raises(ApplyError, match="the PF is back in its previous state") as caught:
        converge.converge(host.sysfs, host.run, validate({"pfs": [spec]}), allow_disruptive=True)
    assert host.picture() == before
    return str(caught.value)


def test_refused_property_is_named_with_its_vf_and_taken_back(host: FakeHost) -> None:
    pf = mlx5(host, rejects={"trust": errno.EPERM})
    host.setup(pf, 4, [0])
    said = failure(host, {"pf": MLX5, "vfs": [{"ids": "0-3", "mac": "02:00:00:00:00:00+id", "vlan": 5, "trust": True}]})
    assert "at step 'properties' of VF 0: the kernel refused trust True: EPERM (Operation not permitted)" in said


def test_what_goes_before_a_refused_property_is_taken_back(tmp_path: Path) -> None:
    """The undo of properties set by a refused command.

    The kernel would refuse the last one again when it is set back; what follows it in the same command was not set.
    """
    host = FakeHost(tmp_path)
    host.setup(host.igb(), 4, [0])
    spec = {"ids": "0-1", "mac": "02:00:00:00:00:00+id", "vlan": 5, "trust": True, "link_state": "enable"}
    said = failure(host, {"pf": "eth0", "vfs": [spec]})
    assert "at step 'properties' of VF 0: the kernel refused link_state enable: EOPNOTSUPP" in said


def test_vectors_that_the_kernel_refuses(host: FakeHost) -> None:
    """Vectors that other VFs have; only the driver knows."""
    host.setup(mlx5(host, total_msix=32), 4, [0, 1])
    said = failure(host, {"pf": MLX5, "vfs": [{"ids": 0, "msix_vectors": 16}]})
    assert "at step 'msix' of VF 0: cannot write '16' to " in said
    assert "ENOSPC (No space left on device) (the PF has not so many vectors left for its VFs)" in said


def test_vectors_that_the_driver_forgets(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.setup(mlx5(host), 4, [0])
    monkeypatch.setattr(host.kernel, "set_msix", lambda pf, vf_id, value: None)
    said = failure(host, {"pf": MLX5, "vfs": [{"ids": 0, "msix_vectors": 16}]})
    assert "a fresh reading shows msix_vectors of VF 0: wanted 16, found 8" in said


def test_unsupported_vectors_are_no_sign_that_vfs_must_be_present(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EOPNOTSUPP of another file than the kernel interface's.

    Nothing is done again as on a stock kernel.
    """
    pf = mlx5(host)
    host.setup(pf, 4, [0])

    def refuse(_pf: FakePf, _vf_id: int, _value: str) -> None:
        raise OSError(errno.EOPNOTSUPP, "no")

    monkeypatch.setattr(host.kernel, "set_msix", refuse)
    said = failure(host, {"pf": MLX5, "present_vfs": "0-1", "vfs": [{"ids": 0, "msix_vectors": 16}]})
    assert "the PF's driver cannot change the MSI-X vectors of its VFs" in said


def test_driver_that_does_not_bind_again_is_reported(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    pf = mlx5(host)
    host.setup(pf, 4, [0], "mlx5_core")
    host.reluctant.add("mlx5_core")
    monkeypatch.setattr(execute, "NETDEV_S", 0.0)
    document = validate({"pfs": [{"pf": MLX5, "vfs": [{"ids": 0, "msix_vectors": 16}]}]})
    with pytest.raises(ApplyError, match=r"/drivers/mlx5_core/bind: ENODEV .*the driver does not take the VF"):
        converge.converge(host.sysfs, host.run, document)


def test_driver_that_leaves_a_vf_again_is_reported(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel took its address, and it has no driver later."""
    host.setup(mlx5(host), 4, [0])
    monkeypatch.setattr(host.kernel, "probe", lambda *_vf: None)
    monkeypatch.setattr(FakeSysfs, "_bind", lambda *_written: None)
    said = failure(host, {"pf": MLX5, "vfs": [{"ids": 0, "driver": "vfio-pci"}]})
    assert "a fresh reading shows driver of VF 0: wanted vfio-pci, found none" in said


def test_vf_in_use_keeps_its_vectors(host: FakeHost) -> None:
    pf = mlx5(host)
    host.setup(pf, 4, [0], "vfio-pci")
    host.hold(pf, 0)
    document = validate({"pfs": [{"pf": MLX5, "vfs": [{"ids": 0, "msix_vectors": 16}]}]})
    with pytest.raises(RefusedError, match=f"VF 0 of PF {MLX5} by VM web1"):
        converge.converge(host.sysfs, host.run, document)
    assert (host.sysfs.writes, host.run.calls) == ([], [])


@pytest.mark.parametrize("vfs_first", [False, True])
def test_switchdev_in_the_order_of_mlx5(host: FakeHost, vfs_first: bool) -> None:
    """Switchdev before and after VFs, and never with bound ones.

    Older kernels change to switchdev only with VFs; bound ones would be an assertion of the fake.
    """
    pf = mlx5(host, vfs_first=vfs_first)
    spec = {"pf": MLX5, "hardware_vfs": 4, "present_vfs": "all", "eswitch_mode": "switchdev", "mtu": 9000}
    document = validate({"pfs": [{**spec, "vfs": [{"ids": "all", "mac": "hash", "driver": "vfio-pci"}]}]})
    outcome = converge.converge(host.sysfs, host.run, document)
    assert (pf.eswitch, pf.mtu, {vf.driver for vf in pf.vfs.values()}) == ("switchdev", 9000, {"vfio-pci"})
    assert outcome.states[MLX5].netdev == "eth5"
    assert not converge.converge(host.sysfs, host.run, document).plan.changed


@pytest.mark.parametrize(
    ("spec", "forgets", "words"),
    [
        ({"eswitch_mode": "switchdev"}, "set_eswitch", "eswitch_mode: wanted switchdev, found legacy"),
        ({"mtu": 9000}, "set_mtu", "mtu: wanted 9000, found 1500"),
        ({"vfs": [{"ids": 0, "mtu": 1400}]}, "set_mtu", "mtu of VF 0: wanted 1400, found 1500"),
    ],
)
def test_settings_that_do_not_stick(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any], forgets: str, words: str
) -> None:
    pf = mlx5(host)
    host.setup(pf, 4, [0], "mlx5_core")
    monkeypatch.setattr(host.kernel, forgets, lambda *_args: None)
    assert f"a fresh reading shows {words}" in failure(host, {"pf": MLX5, **spec})


def test_link_states_come_back_with_the_eswitch(host: FakeHost) -> None:
    """Restore link states that the driver forgets at switchdev.

    The one failure is at adding VF 1, after that.
    """
    pf = mlx5(host)
    host.setup(pf, 4, [0])
    pf.properties[0]["link_state"] = "enable"
    host.faults = {2: errno.EIO}
    said = failure(host, {"pf": MLX5, "eswitch_mode": "switchdev", "present_vfs": "0-1"})
    assert "at step 'add' of VF 1" in said
    assert pf.properties[0]["link_state"] == "enable"


def previous_state(host: FakeHost, pf: FakePf) -> None:
    """Set up four VFs with all that a specification can change.

    VFs 0 and 2 are bound.
    """
    host.kernel._disable(pf)
    pf.eswitch, pf.mtu = "legacy", 2000
    host.setup(pf, 4, [0, 2], pf.vf_driver)
    pf.vectors.update({0: 12, 2: 10})
    for vf_id in (0, 2):
        pf.vfs[vf_id].mtu, pf.vfs[vf_id].override = 3000, None
    if pf.link_type == "infiniband":
        pf.properties[2].update(node_guid="02:00:00:00:00:00:0a:02", port_guid="02:00:00:00:00:00:0b:02")
    else:
        pf.properties[2].update(mac="02:00:00:00:0c:02", vlan=7, qos=3, vlan_proto="802.1ad", link_state="enable")
        pf.properties[2].update(query_rss=True)
    host.draw()


ALL_OF_ETHERNET = {
    "mac": "hash", "vlan": 9, "vlan_proto": "802.1q", "query_rss": False, "msix_vectors": 20, "mtu": 1400,
}  # fmt: skip
GUIDS = {"node_guid": "02:00:00:00:00:00:01:00+id", "port_guid": "02:00:00:00:00:00:02:00+id"}
# PF, spec, kinds of its steps
TAKEN_BACK: list[tuple[Callable[[FakeHost], FakePf], dict[str, Any], set[str]]] = [
    (
        mlx5,
        {"eswitch_mode": "switchdev", "mtu": 9000, "vfs": [{"ids": 2, "msix_vectors": 20, "mtu": 4000}]},
        {"unbind", "mtu", "eswitch", "override", "msix", "bind", "vf mtu"},
    ),
    (
        mlx5,
        {"present_vfs": "0-2", "vfs": [{"ids": "1-2", **ALL_OF_ETHERNET}]},
        {"properties", "read back", "add", "override", "unbind", "msix", "bind", "autoprobe", "vf mtu"},
    ),
    (
        lambda host: host.ice(MLX5, netdev="eth5"),
        {"eswitch_mode": "switchdev", "mtu": 9000, "vfs": [{"ids": 2, "driver": "vfio-pci", "msix_vectors": 20}]},
        {
            *{"disable", "eswitch", "mtu", "enable", "properties", "read back", "add", "override", "autoprobe"},
            *{"msix", "bind"},
        },
    ),
    (lambda host: host.ipoib(MLX5), {"vfs": [{"ids": "1-2", **GUIDS}]}, {"properties", "read back"}),
]


@pytest.mark.parametrize(("add", "spec", "kinds"), TAKEN_BACK)
def test_failure_of_each_step_takes_all_back(
    host: FakeHost, add: Callable[[FakeHost], FakePf], spec: dict[str, Any], kinds: set[str]
) -> None:
    pf = add(host)
    document = validate({"pfs": [{"pf": MLX5, **spec}]})
    previous_state(host, pf)
    done = converge.converge(host.sysfs, host.run, document, allow_disruptive=True).plan.steps
    assert {step.what for step in done} == kinds
    for number in range(1, host.actions + 1):
        previous_state(host, pf)
        host.actions, host.faults = 0, {number: errno.EIO}
        failure(host, {"pf": MLX5, **spec})


def test_writes_beside_an_unbinding_have_deadlines(host: FakeHost) -> None:
    """Deadlines of files; programs have theirs in `process`."""
    host.setup(mlx5(host), 4, [0, 2], "mlx5_core")
    spec = {"eswitch_mode": "switchdev", "mtu": 9000, "vfs": [{"ids": 2, "msix_vectors": 20, "mtu": 4000}]}
    document = validate({"pfs": [{"pf": MLX5, "allow_disruptive": True, **spec}]})
    converge.converge(host.sysfs, host.run, document)
    assert [path for path, _seconds in host.sysfs.within] == [path for path, _value in host.sysfs.writes]
    files = {path.rsplit("/", 1)[1]: seconds for path, seconds in host.sysfs.within}
    assert (files["unbind"], files["sriov_vf_msix_count"], files["mtu"]) == (62.0, 62.0, 60.0)
    host.sysfs.within.clear()
    converge.converge(host.sysfs, host.run, validate({"pfs": [{"pf": MLX5, "mtu": 8000}]}))
    assert host.sysfs.within == []


def test_a_holder_that_blocks_the_change_of_the_eswitch(host: FakeHost) -> None:
    """A forced unbind of a VF whose holder does not release it.

    The mode and the PF stay as they are. Later the specification is applied, and VFs are bound to their previous
    drivers.
    """
    pf = mlx5(host)
    host.setup(pf, 4, [0, 2], "vfio-pci")
    host.hold(pf, 2)
    document = validate({"pfs": [{"pf": MLX5, "eswitch_mode": "switchdev", "allow_disruptive": True}]})
    with pytest.raises(ApplyError, match=r"at step 'unbind' of VF 2: .*\(in use: VF 2 by VM web1.*left as it is"):
        converge.converge(host.sysfs, host.run, document, force=True)
    assert (pf.eswitch, pf.vfs[0].driver) == ("legacy", None)
    host.end_holders(pf)
    converge.converge(host.sysfs, host.run, document)
    assert (pf.eswitch, pf.vfs[0].driver, pf.vfs[2].driver) == ("switchdev", "vfio-pci", "vfio-pci")
