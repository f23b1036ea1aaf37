# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties that every plan has, on generated hosts and wishes: it arrives, it is idempotent, a failure undoes it."""

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

from ansible_collections.kvmfleet.sriov.plugins.module_utils import _vfids
from ansible_collections.kvmfleet.sriov.plugins.module_utils._apply import ApplyError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._errors import BadInputError, RefusedError
from tests.fake.host import FakeHost
from tests.fake.pf import FakePf

TOTAL = 5
IDS = st.frozensets(st.integers(0, TOTAL - 1))
QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""The fake tree is a few hundred files an example."""


@dataclass(frozen=True)
class Start:
    """The state of a PF before; present ids are the enabled ones on a stock kernel."""

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


def _vf_wish(network: bool) -> st.SearchStrategy[dict[str, Any]]:
    optional: dict[str, st.SearchStrategy[Any]] = {"driver": st.sampled_from(["vfio-pci", "default", "igbvf"])}
    if network:
        optional.update(
            vlan=st.integers(0, 10), spoofchk=st.booleans(), trust=st.booleans(), max_tx_rate=st.integers(0, 100)
        )
    return st.fixed_dictionaries({"ids": IDS.map(sorted)}, optional=optional)


@st.composite
def wishes(draw: st.DrawFn, start: Start) -> dict[str, Any]:
    wish: dict[str, Any] = {"pf": "0000:03:00.0"}
    if draw(st.booleans()):
        wish["hardware_vfs"] = draw(st.integers(0, TOTAL) | st.just("max"))
    if draw(st.booleans()):
        wish["present_vfs"] = draw(IDS.map(_vfids.describe) | st.sampled_from(["all", "none"]))
    if draw(st.booleans()):
        wish["drivers_autoprobe"] = draw(st.booleans())
    wish["vfs"] = draw(st.lists(_vf_wish(start.network), max_size=2))
    return wish


@st.composite
def cases(draw: st.DrawFn, interfaces: tuple[str, ...] = ("vf-id", "vf-id-narrow", "stock")) -> tuple[Start, Any]:
    start = draw(starts(interfaces))
    return start, {"pfs": [draw(wishes(start))]}


@contextmanager
def host_of(start: Start) -> Iterator[tuple[FakeHost, FakePf]]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        host = FakeHost(Path(folder), start.interface, ("igb", "igbvf"))
        pf = host.add(
            FakePf("0000:03:00.0", TOTAL, netdev="eth0" if start.network else None, autoprobe=start.autoprobe)
        )
        host.setup(pf, start.enabled, start.present, start.driver)
        yield host, pf


def reach(host: FakeHost, wish: Any, force: bool, check: bool = False) -> Any:  # noqa: ANN401 - a document as hypothesis draws it
    """The report; wishes that are refused or contradict themselves make no case."""
    try:
        return converge(host.sysfs, host.run, validate(wish), force=force, check=check)
    except (BadInputError, RefusedError):
        assert not host.sysfs.writes, "something was written before the refusal"
        assert not host.run.calls
        assume(False)


def wanted_present(start: Start, wish: dict[str, Any], enabled: int) -> frozenset[int]:
    text = wish.get("present_vfs")
    if text is None:
        return start.present & frozenset(range(enabled))
    return _vfids.parse(text, enabled)


@QUICK
@given(cases(), st.booleans())
def test_arrives_and_stays(case: tuple[Start, Any], force: bool) -> None:
    """Judged by the fake kernel's own state, not by the engine's reading."""
    start, wish = case
    with host_of(start) as (host, pf):
        reach(host, wish, force)
        one = wish["pfs"][0]
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
        again = reach(host, wish, force)
        assert not again.plan.changed
        assert len(host.sysfs.writes) + len(host.run.calls) == written


@QUICK
@given(cases(), st.booleans())
def test_check_predicts_what_is_done(case: tuple[Start, Any], force: bool) -> None:
    start, wish = case
    with host_of(start) as (host, _pf):
        before = host.picture()
        asked = reach(host, wish, force, check=True).to_dict()
        assert host.picture() == before
        assert (host.sysfs.writes, host.run.calls) == ([], [])
        done = reach(host, wish, force).to_dict()
        assert {key: done[key] for key in asked} == asked


@QUICK
@given(cases(("vf-id", "stock")), st.booleans(), st.data())
def test_failure_anywhere_takes_back(case: tuple[Start, Any], force: bool, data: st.DataObject) -> None:
    """The narrow interface is left out: it cannot remove what it added."""
    start, wish = case
    with host_of(start) as (host, _pf):
        before = host.picture()
        steps = len([s for s in reach(host, wish, force, check=True).plan.steps if s.what != "read back"])
        assume(steps)
        host.faults = {data.draw(st.integers(1, steps)): errno.EIO}
        with pytest.raises(ApplyError, match="back as it was found"):
            converge(host.sysfs, host.run, validate(wish), force=force)
        assert host.picture() == before


@QUICK
@given(cases(("vf-id",)))
def test_kept_vfs_are_not_disturbed(case: tuple[Start, Any]) -> None:
    """Without force, a VF that is present before and after never goes away in between."""
    start, wish = case
    with host_of(start) as (host, pf):
        before = dict(pf.vfs)
        reach(host, wish, force=False)
        assert all(pf.vfs[vf_id] is before[vf_id] for vf_id in set(before) & set(pf.vfs))
