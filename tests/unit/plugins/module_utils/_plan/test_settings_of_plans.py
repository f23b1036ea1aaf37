# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of plans for settings, on PFs of several drivers.

As test_properties_of_plans.py, for eswitch, MTU, MSI-X vectors and derived addresses.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.apply import ApplyError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import vf_ids
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, RefusedError
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf
from tests.fake.scenarios.interrupted import actions, kill_and_repeat, settled

TOTAL = 4
IDS = st.frozensets(st.integers(0, TOTAL - 1))
QUICK = settings(max_examples=80, deadline=None, derandomize=True, database=None)
FEW = settings(QUICK, max_examples=30)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
UNDONE = "the PF is back in its previous state"
VF_DRIVERS = {"mlx5_core": "mlx5_core", "ice": "iavf", "igb": "igbvf"}


@dataclass(frozen=True)
class Start:
    """The state of a PF before.

    ``values`` of present VFs by id: vectors, MTU, link state.
    """

    driver: str
    interface: str
    enabled: int
    present: frozenset[int]
    vf_driver: str | None
    autoprobe: bool
    eswitch: str | None
    mtu: int
    values: dict[int, tuple[int, int, str]]


@st.composite
def starts(draw: st.DrawFn, interfaces: tuple[str, ...] = ("vf-id", "vf-id-narrow", "stock")) -> Start:
    interface, driver = draw(st.sampled_from(interfaces)), draw(st.sampled_from(sorted(VF_DRIVERS)))
    enabled = draw(st.integers(0, TOTAL))
    present = draw(IDS) & frozenset(range(enabled)) if interface != "stock" else frozenset(range(enabled))
    if interface == "vf-id-narrow" and enabled:
        present |= {0}
    vf_driver = draw(st.sampled_from([None, "vfio-pci", VF_DRIVERS[driver]]))
    eswitch = None if driver == "igb" else draw(st.sampled_from(["legacy", "switchdev"]))
    value = st.tuples(st.integers(2, 12), st.sampled_from([1500, 9000]), st.sampled_from(["auto", "enable"]))
    values = draw(st.fixed_dictionaries({}, optional=dict.fromkeys(sorted(present), value)))
    mtu = draw(st.sampled_from([1500, 9000]))
    return Start(driver, interface, enabled, present, vf_driver, draw(st.booleans()), eswitch, mtu, values)


@st.composite
def specs(draw: st.DrawFn, start: Start) -> dict[str, Any]:
    spec: dict[str, Any] = {"pf": "0000:03:00.0"}
    optional: dict[str, st.SearchStrategy[Any]] = {
        "hardware_vfs": st.integers(0, TOTAL) | st.just("max"),
        "present_vfs": IDS.map(vf_ids.describe) | st.sampled_from(["all", "none"]),
        "drivers_autoprobe": st.booleans(),
        "mtu": st.sampled_from([1500, 2000, 9000]),
    }
    vf: dict[str, st.SearchStrategy[Any]] = {
        "driver": st.sampled_from(["vfio-pci", "default", VF_DRIVERS[start.driver]]),
        "mac": st.sampled_from(["02:00:00:00:00:10+id", "hash"]),
        "mtu": st.sampled_from([1500, 4000, 9000]),
        "query_rss": st.booleans(),
        "vlan": st.integers(1, 9),
        "vlan_proto": st.sampled_from(["802.1q", "802.1ad"]),
    }
    if start.eswitch:
        optional["eswitch_mode"] = st.sampled_from(["legacy", "switchdev"])
        vf["msix_vectors"] = st.integers(9, 20)  # other than the 8 that nobody has written
    spec.update(draw(st.fixed_dictionaries({}, optional=optional)))
    spec["vfs"] = draw(st.lists(st.fixed_dictionaries({"ids": IDS.map(sorted)}, optional=vf), max_size=2))
    return spec


@st.composite
def cases(draw: st.DrawFn, interfaces: tuple[str, ...] = ("vf-id", "vf-id-narrow", "stock")) -> tuple[Start, Any]:
    start = draw(starts(interfaces))
    return start, {"pfs": [draw(specs(start))]}


@contextmanager
def host_of(start: Start) -> Iterator[tuple[FakeHost, FakePf]]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        host = FakeHost(Path(folder), start.interface, (start.driver, VF_DRIVERS[start.driver]))
        pf = host.add(
            FakePf(
                "0000:03:00.0", TOTAL, driver=start.driver, vf_driver=VF_DRIVERS[start.driver], netdev="eth0",
                autoprobe=start.autoprobe, devlink=start.eswitch is not None, mtu=start.mtu,
                total_msix=48 if start.eswitch else 0,
            )
        )  # fmt: skip
        host.setup(pf, start.enabled, start.present, start.vf_driver)
        for vf_id, (vectors, mtu, link_state) in start.values.items():
            pf.vfs[vf_id].mtu = mtu if pf.has_netdev(vf_id) else 1500
            if start.eswitch:
                pf.vectors[vf_id] = vectors
            if start.eswitch != "switchdev" or start.driver != "mlx5_core":
                pf.properties[vf_id]["link_state"] = link_state
        if start.eswitch == "switchdev" and start.driver == "mlx5_core":
            for properties in pf.properties.values():
                properties["link_state"] = "disable"
        pf.eswitch = start.eswitch
        host.draw()
        yield host, pf


def picture(host: FakeHost) -> dict[str, Any]:
    """The state that an undo must restore.

    In switchdev mode of mlx5 the representors set the links of VFs.
    """
    taken: dict[str, Any] = dict(host.picture())
    for address, pf in host.pfs.items():
        if pf.eswitch == "switchdev" and pf.driver == "mlx5_core":
            for properties in taken[address]["properties"].values():
                del properties["link_state"]
    return taken


def reach(host: FakeHost, spec: Any, allowed: bool, check: bool = False) -> Any:  # noqa: ANN401 - a document as hypothesis draws it
    """Apply a specification and return the report.

    Those that are refused, by the kernel too, or contradict themselves make no case.
    """
    before = picture(host)
    report, said = None, ""
    try:
        report = converge(host.sysfs, host.run, validate(spec), allow_disruptive=allowed, check=check)
    except (BadInputError, RefusedError):
        assert not host.sysfs.writes, "something was written before the refusal"
        assert not host.run.calls
    except ApplyError as error:
        said = str(error)
    if said and (UNDONE in said or host.kernel.interface != "vf-id-narrow"):  # which cannot remove what it added
        assert (said[-len(UNDONE) :], picture(host)) == (UNDONE, before)
    assume(report is not None)
    return report


@QUICK
@given(cases(), st.booleans())
def test_arrives_and_stays(case: tuple[Start, Any], allowed: bool) -> None:
    """The desired state in the fake kernel's own state.

    The engine's reading does not judge itself.
    """
    start, spec = case
    with host_of(start) as (host, pf):
        reach(host, spec, allowed)
        one = spec["pfs"][0]
        assert pf.eswitch == one.get("eswitch_mode", start.eswitch)
        assert pf.mtu == one.get("mtu", start.mtu)
        for vf in one["vfs"]:
            for vf_id in set(vf["ids"]) & set(pf.vfs):
                _check_vf(pf, vf_id, vf)
        written = len(host.sysfs.writes) + len(host.run.calls)
        again = reach(host, spec, allowed)
        assert not again.plan.changed
        assert len(host.sysfs.writes) + len(host.run.calls) == written


def _check_vf(pf: FakePf, vf_id: int, spec: dict[str, Any]) -> None:
    if "msix_vectors" in spec:
        assert pf.table_size(vf_id) - spec["msix_vectors"] in ({0, 1} if pf.driver == "ice" else {0})
    if "mtu" in spec:
        assert (pf.has_netdev(vf_id), pf.vfs[vf_id].mtu) == (True, spec["mtu"])
    if "mac" in spec:
        mac = str(pf.properties[vf_id]["mac"])
        assert mac == f"02:00:00:00:00:{16 + vf_id:02x}" or (spec["mac"] == "hash" and int(mac[:2], 16) & 3 == 2)
    for name in set(spec) & {"vlan", "vlan_proto", "query_rss"}:
        assert pf.properties[vf_id][name] == spec[name]


@QUICK
@given(cases(), st.booleans())
def test_check_predicts_what_is_done(case: tuple[Start, Any], allowed: bool) -> None:
    start, spec = case
    with host_of(start) as (host, _pf):
        before = host.picture()
        asked = reach(host, spec, allowed, check=True).to_dict()
        assert host.picture() == before
        assert (host.sysfs.writes, host.run.calls) == ([], [])
        done = reach(host, spec, allowed).to_dict()
        assert {key: done[key] for key in asked} == asked


@QUICK
@given(cases(("vf-id", "stock")), st.booleans(), st.data())
def test_failure_anywhere_takes_back(case: tuple[Start, Any], allowed: bool, data: st.DataObject) -> None:
    """The undo of a failure, but on the narrow interface.

    That cannot remove what it added. What is refused anyway makes no case.
    """
    start, spec = case
    with host_of(start) as (host, _pf):
        number = actions(reach(host, spec, allowed))
        assume(number)
    with host_of(start) as (host, _pf):
        before = picture(host)
        host.faults = {data.draw(st.integers(1, number)): errno.EIO}
        with pytest.raises(ApplyError, match=UNDONE):
            converge(host.sysfs, host.run, validate(spec), allow_disruptive=allowed)
        assert picture(host) == before


@QUICK
@given(cases(("vf-id",)))
def test_kept_vfs_are_not_disturbed(case: tuple[Start, Any]) -> None:
    """VFs that stay, without allow_disruptive.

    They are not removed, and no eswitch changes below their drivers.
    """
    start, spec = case
    with host_of(start) as (host, pf):
        before = dict(pf.vfs)
        reach(host, spec, allowed=False)
        assert all(pf.vfs[vf_id] is before[vf_id] for vf_id in set(before) & set(pf.vfs))


@FEW
@given(cases(), st.booleans(), st.data())
def test_killed_anywhere_it_arrives_all_the_same(case: tuple[Start, Any], allowed: bool, data: st.DataObject) -> None:
    """The same result after a killed run, as check mode predicts."""
    start, spec = case
    with host_of(start) as (host, _pf):
        number = actions(reach(host, spec, allowed))
        assume(number)
        good = settled(picture(host))
    with host_of(start) as (host, _pf):
        kill_and_repeat(host, validate(spec), data.draw(st.integers(1, number)), allowed=allowed)
        assert settled(picture(host)) == good
