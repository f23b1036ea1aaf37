# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of every plan, on generated hosts and specifications.

It reaches the desired state, it is idempotent, a failure undoes it.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document import vf_request
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import HostDocument, validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine import reading
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.apply import ApplyError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import vf_ids
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, RefusedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan import derive, order, shortfall
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers import details, pfs
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf
from tests.fake.scenarios.interrupted import actions, kill_and_repeat, settled

TOTAL = 5
IDS = st.frozensets(st.integers(0, TOTAL - 1))
QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None)
FEW = settings(QUICK, max_examples=30)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""The fake tree is a few hundred files an example."""


@dataclass(frozen=True)
class Start:
    """The state of a PF before.

    Present ids are the enabled ones on a stock kernel.
    """

    interface: str
    network: bool
    enabled: int
    present: frozenset[int]
    driver: str | None
    autoprobe: bool


@st.composite
def starts(draw: st.DrawFn, interfaces: tuple[str, ...] = ("vf-id", "vf-id-narrow", "stock")) -> Start:
    interface = draw(st.sampled_from(interfaces))
    enabled = draw(st.integers(0, TOTAL))
    present = draw(IDS) & frozenset(range(enabled)) if interface != "stock" else frozenset(range(enabled))
    if interface == "vf-id-narrow" and enabled:
        present |= {0}
    driver = draw(st.sampled_from([None, "vfio-pci", "igbvf"]))
    return Start(interface, draw(st.booleans()), enabled, present, driver, draw(st.booleans()))


def _vf_spec_of(network: bool) -> st.SearchStrategy[dict[str, Any]]:
    optional: dict[str, st.SearchStrategy[Any]] = {"driver": st.sampled_from(["vfio-pci", "default", "igbvf"])}
    if network:
        optional.update(
            vlan=st.integers(0, 10), spoofchk=st.booleans(), trust=st.booleans(), max_tx_rate=st.integers(0, 100)
        )
    return st.fixed_dictionaries({"ids": IDS.map(sorted)}, optional=optional)


@st.composite
def specs(draw: st.DrawFn, start: Start) -> dict[str, Any]:
    spec: dict[str, Any] = {"pf": "0000:03:00.0"}
    if draw(st.booleans()):
        spec["hardware_vfs"] = draw(st.integers(0, TOTAL) | st.just("max"))
    if draw(st.booleans()):
        spec["present_vfs"] = draw(IDS.map(vf_ids.describe) | st.sampled_from(["all", "none", "unmanaged"]))
    if draw(st.booleans()):
        spec["drivers_autoprobe"] = draw(st.booleans())
    spec["vfs"] = draw(st.lists(_vf_spec_of(start.network), max_size=2))
    return spec


@st.composite
def cases(draw: st.DrawFn, interfaces: tuple[str, ...] = ("vf-id", "vf-id-narrow", "stock")) -> tuple[Start, Any]:
    start = draw(starts(interfaces))
    return start, {"pfs": [draw(specs(start))]}


@st.composite
def changes(draw: st.DrawFn, interfaces: tuple[str, ...] = ("vf-id", "vf-id-narrow", "stock")) -> tuple[Start, Any]:
    """A request for single VFs; some are not enabled."""
    start = draw(starts(interfaces))
    if draw(st.booleans()):
        return start, {"pf": "0000:03:00.0", "ids": draw(IDS.map(sorted)), "state": "absent"}
    ids = draw(IDS.map(lambda ids: sorted(ids & frozenset(range(start.enabled)))))
    return start, {"pf": "0000:03:00.0", **draw(_vf_spec_of(start.network)), "ids": ids}


def document_of(spec: dict[str, Any]) -> HostDocument:
    return validate(spec) if "pfs" in spec else vf_request.validate(spec)


@contextmanager
def host_of(start: Start) -> Iterator[tuple[FakeHost, FakePf]]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        host = FakeHost(Path(folder), start.interface, ("igb", "igbvf"))
        pf = host.add(
            FakePf("0000:03:00.0", TOTAL, netdev="eth0" if start.network else None, autoprobe=start.autoprobe)
        )
        host.setup(pf, start.enabled, start.present, start.driver)
        yield host, pf


def reach(host: FakeHost, spec: Any, allow: bool, check: bool = False) -> Any:  # noqa: ANN401 - a document as hypothesis draws it
    """Apply a specification and return the report.

    Those that are refused or contradict themselves make no case. No VF is in use: `force` changes nothing.
    """
    try:
        return converge(host.sysfs, host.run, document_of(spec), force=not allow, allow_disruptive=allow, check=check)
    except (BadInputError, RefusedError):
        assert not host.sysfs.writes, "something was written before the refusal"
        assert not host.run.calls
        assume(False)


def wanted_present(start: Start, spec: dict[str, Any], enabled: int) -> frozenset[int]:
    text = spec.get("present_vfs")
    if text is None and enabled != start.enabled:
        return frozenset(range(enabled))
    if text in (None, "unmanaged"):
        return start.present & frozenset(range(enabled))
    return vf_ids.parse(text, enabled)


@QUICK
@given(cases(), st.booleans())
def test_arrives_and_stays(case: tuple[Start, Any], allow: bool) -> None:
    """The desired state in the fake kernel's own state.

    The engine's reading does not judge itself.
    """
    start, spec = case
    with host_of(start) as (host, pf):
        reach(host, spec, allow)
        one = spec["pfs"][0]
        number = one.get("hardware_vfs", start.enabled)
        assert pf.enabled == (TOTAL if number == "max" else number)
        wanted = wanted_present(start, one, pf.enabled)
        assert wanted <= set(pf.vfs)
        if start.interface == "vf-id":
            assert wanted == set(pf.vfs)
        assert pf.autoprobe == one.get("drivers_autoprobe", start.autoprobe)
        for vf in one["vfs"]:
            for vf_id in vf["ids"]:
                driver = vf.get("driver", "default")
                if vf_id in pf.vfs and driver != "default":
                    assert pf.vfs[vf_id].driver == driver
                for name in set(vf) - {"ids", "driver"}:
                    assert pf.properties[vf_id][name] == vf[name]
        written = len(host.sysfs.writes) + len(host.run.calls)
        again = reach(host, spec, allow)
        assert not again.plan.changed
        assert len(host.sysfs.writes) + len(host.run.calls) == written


@QUICK
@given(cases(("vf-id",)), st.booleans())
def test_a_driver_that_needs_every_vf_is_asked_once(case: tuple[Start, Any], allow: bool) -> None:
    """A second run that finds the desired state.

    The narrow interface has no such drivers.
    """
    start, spec = case
    with host_of(replace(start, present=frozenset(range(start.enabled)))) as (host, pf):
        pf.opt_in, before = False, host.picture()
        failures: Mapping[str, Exception] = {}
        try:
            converge(host.sysfs, host.run, document_of(spec), allow_disruptive=allow)
        except (BadInputError, RefusedError):
            assume(False)
        except ApplyError as error:
            failures = error.failures
        if failures:
            assert {type(cause) for cause in failures.values()} == {RefusedError}
            assert host.picture() == before
            assume(False)
        assert set(pf.vfs) == set(range(pf.enabled))
        written = len(host.sysfs.writes) + len(host.run.calls)
        assert not reach(host, spec, allow).plan.changed
        assert len(host.sysfs.writes) + len(host.run.calls) == written


@QUICK
@given(cases() | changes(), st.booleans())
def test_check_predicts_what_is_done(case: tuple[Start, Any], allow: bool) -> None:
    start, spec = case
    with host_of(start) as (host, _pf):
        before = host.picture()
        asked = reach(host, spec, allow, check=True).to_dict()
        assert host.picture() == before
        assert (host.sysfs.writes, host.run.calls) == ([], [])
        done = reach(host, spec, allow).to_dict()
        assert {key: done[key] for key in asked} == asked


@QUICK
@given(cases() | changes(), st.booleans())
def test_the_compliance_check_sees_what_all_details_show(case: tuple[Start, Any], allow: bool) -> None:
    """The plan from a compliance check, and from all details.

    Both are the same, and have steps where the reading falls short of the goal.
    """
    start, spec = case
    with host_of(start) as (host, _pf):
        (plan,) = reach(host, spec, allow, check=True).plan.plans
        found = reading.with_properties(host.run, pfs.read_pfs(host.sysfs)[plan.current.address])
        if found.netdev:
            link = details.read_link(host.sysfs, found.address, found.netdev)
            found = found._replace(settings=found.settings._replace(link=link))
        goal = derive.goal_of(found, plan.spec)
        assert [step.to_dict() for step in order.steps_to(found, goal)] == [step.to_dict() for step in plan.steps]
        assert bool(plan.steps) is bool(shortfall.shortfall(goal, found))
        assert goal.notes == plan.goal.notes


@QUICK
@given(cases(("vf-id", "stock")) | changes(("vf-id", "stock")), st.booleans(), st.data())
def test_failure_anywhere_takes_back(case: tuple[Start, Any], allow: bool, data: st.DataObject) -> None:
    """The undo of a failure, but on the narrow interface.

    That cannot remove what it added.
    """
    start, spec = case
    with host_of(start) as (host, _pf):
        before = host.picture()
        number = actions(reach(host, spec, allow, check=True))
        assume(number)
        host.faults = {data.draw(st.integers(1, number)): errno.EIO}
        with pytest.raises(ApplyError, match="back in its previous state"):
            converge(host.sysfs, host.run, document_of(spec), allow_disruptive=allow)
        assert host.picture() == before


@QUICK
@given(cases() | changes())
def test_kept_vfs_are_not_disturbed(case: tuple[Start, Any]) -> None:
    """VFs that stay, without disruption.

    Unless it is allowed, a VF that is present before and after is never removed in between.
    """
    start, spec = case
    with host_of(start) as (host, pf):
        before = dict(pf.vfs)
        report = reach(host, spec, allow=False)
        assert all(pf.vfs[vf_id] is before[vf_id] for vf_id in set(before) & set(pf.vfs))
        assert not any(plan.goal.disruption.disrupted for plan in report.plan.plans)


@QUICK
@given(cases() | changes())
def test_disrupts_what_it_reports(case: tuple[Start, Any]) -> None:
    """Disrupted VFs, named by the plan and its notes.

    They are those that go away, less those that are declared away.
    """
    start, spec = case
    with host_of(start) as (host, pf):
        before = dict(pf.vfs)
        report = reach(host, spec, allow=True)
        died = {vf_id for vf_id, vf in before.items() if pf.vfs.get(vf_id) is not vf}
        if "pfs" in spec:
            exact = spec["pfs"][0].get("present_vfs")
            undeclared = set() if exact in (None, "unmanaged") else set(before) - vf_ids.parse(exact, pf.enabled)
        else:
            undeclared = set(spec["ids"]) if spec.get("state") == "absent" else set()
        kills = {vf_id for plan in report.plan.plans for vf_id in plan.goal.disruption.disrupted}
        assert kills == died - (undeclared - set(pf.vfs))
        said = f"takes the present VFs {vf_ids.compress(kills)} away"
        assert any(said in note for note in report.plan.notes) is bool(kills)


@QUICK
@given(changes(), st.booleans())
def test_single_vfs_arrive_and_others_stay(case: tuple[Start, Any], allow: bool) -> None:
    start, spec = case
    with host_of(start) as (host, pf):
        before: Any = pf.picture()
        report = reach(host, spec, allow)
        after: Any = pf.picture()
        ids = set(spec["ids"])
        if spec.get("state") == "absent":
            assert not ids & set(pf.vfs) or start.interface != "vf-id"
            assert {"cannot leave" in note for note in report.plan.notes} >= ({True} if ids & set(pf.vfs) else set())
        else:
            assert ids <= set(pf.vfs)
            declared = spec.get("driver", "default")
            assert all(pf.vfs[vf_id].driver == declared for vf_id in ids if declared != "default")
        assert (pf.enabled, pf.autoprobe) == (start.enabled, start.autoprobe)
        others = [{i: v for i, v in one["properties"].items() if i not in ids} for one in (before, after)]
        assert others[0] == others[1]
        if any(plan.goal.disruption.disrupted for plan in report.plan.plans):
            assert {i for i, vf in before["vfs"].items() if i not in ids} <= set(pf.vfs)
        else:
            others = [{i: v for i, v in one["vfs"].items() if i not in ids} for one in (before, after)]
            assert others[0] == others[1]
        assert not reach(host, spec, allow).plan.changed


@FEW
@given(cases() | changes(), st.booleans(), st.data())
def test_killed_anywhere_it_arrives_all_the_same(case: tuple[Start, Any], allowed: bool, data: st.DataObject) -> None:
    """The same result after a killed run, as check mode predicts."""
    start, spec = case
    with host_of(start) as (host, _pf):
        number = actions(reach(host, spec, allowed))
        assume(number)
        good = settled(host.picture())
    with host_of(start) as (host, _pf):
        kill_and_repeat(host, document_of(spec), data.draw(st.integers(1, number)), allowed=allowed)
        assert settled(host.picture()) == good
