# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Journals of unfinished runs.

Undoing them after each step is in test_apply_kills.py.
"""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine import converge, journal
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.apply import ApplyError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, KernelError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.journal_entry import JournalEntry
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import UNFINISHED
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.properties import VfProperties
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers.pfs import read_pfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import durable
from tests.fake.linux.host import FakeHost
from tests.fake.scenarios.faults import KILL, Killed

PF = "0000:03:00.0"
ALL = JournalEntry(
    4, frozenset({0, 3}), False, {3: "vfio-pci"}, {1: VfProperties(mac="02:00:00:00:00:01", trust=True)},
    {0: ("igbvf", None), 3: ("vfio-pci", "vfio-pci")}, frozenset({2}), "down",
)  # fmt: skip


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.igb(PF)
    return host


def unfinished(host: FakeHost) -> JournalEntry | None:
    return journal.known(host.sysfs, read_pfs(host.sysfs))[PF].unfinished


def test_a_note_is_read_as_it_was_written(host: FakeHost) -> None:
    assert unfinished(host) is None
    for one in (ALL, JournalEntry(present=frozenset()), JournalEntry(autoprobe=True)):
        journal.note(host.sysfs, PF, one)
        assert unfinished(host) == one
    journal.note(host.sysfs, PF, None)
    assert unfinished(host) is None
    assert list((host.root / UNFINISHED.lstrip("/")).iterdir()) == []


def test_the_oldest_journal_entry_counts() -> None:
    later = JournalEntry(7, frozenset({5}), True, {5: "igbvf"}, {}, {0: ("nvme", None)}, frozenset({6}))
    assert ALL.over(later) == JournalEntry(
        4, frozenset({0, 3}), False, {5: "igbvf", **ALL.drivers}, ALL.properties, ALL.rebound, frozenset({2, 6}), "down"
    )
    assert JournalEntry().over(later) == later
    assert (bool(JournalEntry()), bool(JournalEntry(enabled=0)), bool(JournalEntry(autoprobe=False))) == (
        False,
        True,
        True,
    )


def test_a_run_that_ends_while_its_journal_is_read(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.note(host.sysfs, PF, ALL)
    states = read_pfs(host.sysfs)
    names = host.sysfs.names(UNFINISHED)
    journal.note(host.sysfs, PF, None)
    monkeypatch.setattr(host.sysfs, "names", lambda _path: names)
    assert journal.known(host.sysfs, states) == states


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"enabled": 4}', json.dumps({**ALL.to_dict(), "rebound": {"0": 1}})])
def test_a_file_that_is_no_note(host: FakeHost, text: str) -> None:
    journal.note(host.sysfs, PF, ALL)
    (host.root / UNFINISHED.lstrip("/") / PF).write_text(text)
    with pytest.raises(BadInputError, match=rf"{UNFINISHED}/{PF} is no note of an interrupted run"):
        unfinished(host)


def test_without_a_note_nothing_is_written(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.setup(host.pfs[PF], 2, [1])
    write = durable.write_text

    def full(path: str, text: str, mode: int) -> None:
        if UNFINISHED in path:
            raise KernelError("write", path, errno.ENOSPC)
        write(path, text, mode)

    monkeypatch.setattr(durable, "write_text", full)
    document = validate({"pfs": [{"pf": PF, "hardware_vfs": 4, "allow_disruptive": True}]})
    with pytest.raises(ApplyError, match=f"cannot write .*{UNFINISHED}/{PF}: ENOSPC"):
        converge.converge(host.sysfs, host.run, document)
    assert host.sysfs.writes == []


# a PF of 4 VFs of which 1 and 2 are present, 2 with vfio-pci, is killed when they are gone; another spec; what is then
OTHERS: list[tuple[dict[str, Any], tuple[int, set[int], str | None]]] = [
    ({}, (4, {1, 2}, "vfio-pci")),
    ({"hardware_vfs": 2}, (2, {0, 1}, None)),
    ({"hardware_vfs": 2, "present_vfs": "unmanaged"}, (2, {1}, None)),
    ({"present_vfs": "2-3"}, (4, {2, 3}, "vfio-pci")),
    ({"hardware_vfs": 0, "present_vfs": "none"}, (0, set(), None)),
    ({"hardware_vfs": 7, "vfs": [{"ids": 2, "driver": "igbvf"}]}, (7, set(range(7)), "igbvf")),
]


@pytest.mark.parametrize(("spec", "then"), OTHERS)
def test_another_spec_goes_before_the_journal(
    host: FakeHost, spec: dict[str, Any], then: tuple[int, set[int], str | None]
) -> None:
    pf = host.pfs[PF]
    host.drivers.add("vfio-pci")
    host.setup(pf, 4, [1, 2])
    pf.vfs[2].driver = pf.vfs[2].override = "vfio-pci"
    host.draw()
    first = {"pf": PF, "hardware_vfs": 6, "allow_disruptive": True}
    host.faults = {3: KILL}
    with pytest.raises(Killed):
        converge.converge(host.sysfs, host.run, validate({"pfs": [{"drivers_autoprobe": True, **first}]}))
    assert host.pfs[PF].enabled == 0
    host.dead = False
    report = converge.converge(host.sysfs, host.run, validate({"pfs": [{"pf": PF, **spec}]}))
    assert (pf.enabled, set(pf.vfs), pf.vfs[2].driver if 2 in pf.vfs else None) == then
    assert "a run before this one did not come to its end" in report.plan.notes[0]
    assert report.plan.warnings == report.plan.notes[:1]
    assert unfinished(host) is None


# what 2117e67, the version before rooms, had written when it was killed after it had disabled all VFs
OF_THE_VERSION_BEFORE = (
    '{"enabled": 4, "present": "0,2", "autoprobe": true, "drivers": {"2": "vfio-pci"}, "properties": '
    '{"0": {"spoofchk": true}, "1": {"mac": "02:00:00:00:00:01", "vlan": 100, "spoofchk": true}, '
    '"2": {"spoofchk": true}, "3": {"spoofchk": true}}, "rebound": {}, "probed": "none"}'
)


def test_a_journal_of_the_version_before_is_undone(host: FakeHost) -> None:
    pf, path = host.pfs[PF], host.root / "run/kvmfleet-sriov/unfinished" / PF
    host.drivers.add("vfio-pci")
    pf.autoprobe = False
    host.draw()
    path.parent.mkdir(parents=True)
    path.write_text(OF_THE_VERSION_BEFORE)
    report = converge.converge(host.sysfs, host.run, validate({"pfs": [{"pf": PF}]}))
    assert report.plan.warnings
    assert (pf.enabled, sorted(pf.vfs), pf.autoprobe, pf.vfs[2].driver) == (4, [0, 2], True, "vfio-pci")
    assert (pf.properties[1]["mac"], pf.properties[1]["vlan"]) == ("02:00:00:00:00:01", 100)
    assert not path.exists()


def test_a_journal_is_written_as_the_version_before_did(host: FakeHost) -> None:
    """A journal that the version before can undo, after a downgrade."""
    pf = host.pfs[PF]
    host.drivers.add("vfio-pci")
    host.setup(pf, 4, [0, 2])
    pf.vfs[2].driver = pf.vfs[2].override = "vfio-pci"
    pf.vfs[0].driver = "igbvf"
    pf.properties[1].update(vlan=100, mac="02:00:00:00:00:01")
    host.draw()
    spec = {"pf": PF, "hardware_vfs": 6, "drivers_autoprobe": True, "allow_disruptive": True}
    host.faults = {3: KILL}
    with pytest.raises(Killed):
        converge.converge(host.sysfs, host.run, validate({"pfs": [spec]}))
    assert (host.root / "run/kvmfleet-sriov/unfinished" / PF).read_text() == OF_THE_VERSION_BEFORE
