# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on emulated hosts, without the hosts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.run_unit import RUN_UNIT
from ansible_collections.kvmfleet.sriov.plugins.module_utils._tools import domain_xml, whole_domain
from lab.faults import case, crash_kernel, guests, libvirt_rows, prepare, run, watcher
from lab.faults.guests import Seen
from lab.faults.libvirt_rows import LIBVIRT_ROWS
from lab.faults.rows import ENDED, NEW, OLD, RESUME, ROWS, RUN, SAME, LabFault
from lab.faults.trial_rows import TRIALS
from lab.fleet import fleet
from lab.machine import domain, monitor
from lab.machine.host import Running
from lab.machine.ssh import Ssh
from lab.progress import LabError
from tests.faults import record
from tests.faults.guest import Sector

HOST = fleet.load("faults").hosts[0]
SEEN = Seen(
    "new", "b2", "failed", (), {vm.name: 1 for vm in HOST.vms}, {vm.name: Sector(9, 1, 0) for vm in HOST.vms},
    {vm.vf: {"address": vm.mac, "vlan_list": [{"vlan": vm.vlan}]} for vm in HOST.vms},
    {vm.vf: "vfio-pci" for vm in HOST.vms},
)  # fmt: skip
COUNTED = {vm.name: Sector(20, 1, 0) for vm in HOST.vms}


def test_the_watcher_stops_the_units_of_the_update() -> None:
    """It runs on the host, without the collection."""
    assert watcher.UNITS == (RUN, RESUME)
    assert RUN == RUN_UNIT


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Running:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(Running, "ssh", property(lambda _self: Ssh(1, Path("key"))))
    return Running("faults", HOST, Path("key"))


def wrong(
    monkeypatch: pytest.MonkeyPatch,
    target: Running,
    later: Seen,
    *,
    kernel: str = NEW,
    after: Seen = SEEN,
    **row: Any,  # noqa: ANN401 - values of several types
) -> str:
    monkeypatch.setattr(guests, "look", lambda _ssh, _host: later)
    return case._wrong(target, LabFault("x", "what", kernel, "failed", **row), "new", SEEN, after)


def test_all_is_as_it_should_be(monkeypatch: pytest.MonkeyPatch, target: Running) -> None:
    assert wrong(monkeypatch, target, replace(SEEN, sectors=COUNTED)) == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"processes": {"web1": 2, "db1": 1}}, "VM web1 has 2 QEMUs"),
        ({"processes": {"db1": 1}}, "VM web1 has 0 QEMUs"),
        ({"sectors": SEEN.sectors}, "does not count on"),
        ({"sectors": {**COUNTED, "web1": Sector(20, 2, 0)}}, "VM web1: "),
        ({"sectors": {**COUNTED, "db1": Sector(20, 1, 1)}}, "VM db1: "),
        ({"vfs": {}}, "VF 0 is"),
        ({"drivers": {0: "vfio-pci", 1: "igbvf"}}, "VF 1 has driver igbvf"),
    ],
)
def test_what_is_wrong_is_found(
    monkeypatch: pytest.MonkeyPatch, target: Running, changes: dict[str, object], said: str
) -> None:
    later = replace(SEEN, **{"sectors": COUNTED, **changes})  # type: ignore[arg-type]  # of several types
    assert said in wrong(monkeypatch, target, later)


def test_kernel_and_phase(monkeypatch: pytest.MonkeyPatch, target: Running) -> None:
    later = replace(SEEN, sectors=COUNTED)
    assert "it runs new" in wrong(monkeypatch, target, later, kernel=OLD)
    assert wrong(monkeypatch, target, later, kernel=SAME) == ""
    assert "its phase is done" in wrong(monkeypatch, target, replace(later, phase="done"))
    rebooted = replace(later, boot="b3")
    assert "it was booted anew" in wrong(monkeypatch, target, rebooted, kernel=SAME)
    assert wrong(monkeypatch, target, rebooted) == ""


def test_vms_whose_guests_ran_at_a_power_cut_do_not_run(monkeypatch: pytest.MonkeyPatch, target: Running) -> None:
    ended = replace(SEEN, processes={})
    assert wrong(monkeypatch, target, ended, ends=ENDED) == ""
    assert "VM web1 has 1 QEMUs" in wrong(monkeypatch, target, SEEN, ends=ENDED)


def test_evidence_is_looked_for_on_the_host(monkeypatch: pytest.MonkeyPatch, target: Running) -> None:
    """With the release of the new kernel."""
    asked: list[str] = []

    def fails(_host: Running, command: str) -> bool:
        asked.append(command)
        return False

    monkeypatch.setattr(prepare, "succeeds", fails)
    assert "its evidence is not there" in wrong(
        monkeypatch, target, replace(SEEN, sectors=COUNTED), evidence="grep release=NEW x"
    )
    assert asked == ["grep release=new x"]


@pytest.mark.parametrize(
    ("refused", "status", "said", "why"),
    [
        ("", 0, "CHANGED", ""),
        ("", 2, "no kernel", "not armed: no kernel"),
        ("locked down", 2, "it is locked down", ""),
        ("locked down", 2, "something else", "not refused with 'locked down': something else"),
        ("locked down", 0, "it is locked down", "not refused with 'locked down'"),
    ],
)
def test_what_should_be_refused_is(
    monkeypatch: pytest.MonkeyPatch, target: Running, refused: str, status: int, said: str, why: str
) -> None:
    done = subprocess.CompletedProcess([], status, said, "")
    monkeypatch.setattr(subprocess, "run", lambda *_words, **_names: done)
    row = LabFault("x", "what", SAME, "", refused=refused)
    if why:
        with pytest.raises(LabError, match=re.escape(why)):
            case._arm(target, row, "new")
    else:
        case._arm(target, row, "new")


def test_rows_are_run_in_order_and_only_those_without_a_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So a run that was interrupted goes on."""
    monkeypatch.setattr(record, "FILE", tmp_path / "EVIDENCE.json")
    assert run.wanted(("lab_",), fresh=False) == list(ROWS)
    record.before(record.LAB, ROWS[0])(ROWS[0].name, True)
    assert run.wanted(("lab_",), fresh=False) == list(ROWS[1:])
    assert run.wanted(("lab_",), fresh=True) == list(ROWS)
    assert {one.name for one in run.wanted(("watchdog",), fresh=False)} == {
        "lab_watchdog_new_kernel",
        "lab_watchdog_resume",
    }


def test_a_result_rests_on_what_decides_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """On units and on who looks, not on the order."""
    read: list[str] = []
    real = Path.read_text

    def text(path: Path, *words: Any, **names: Any) -> str:  # noqa: ANN401 - of read_text
        read.append(path.name)
        return real(path, *words, **names)

    monkeypatch.setattr(Path, "read_text", text)
    record.harness.__wrapped__(record.LAB)
    assert {
        "case.py",
        "prepare.py",
        "watcher.py",
        "crash_kernel.py",
        "guest.py",
        "kvmfleet-sriov-resume.service.j2",
    } <= set(read)
    assert not {"run.py", "rows.py"} & set(read)


class Left:
    """A host with an update under way, or one that hangs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, hangs: bool) -> None:
        self.phase, self.hangs, self.boot, self.looks = "saving", hangs, "b1", 0
        self.commands: list[str] = []
        for owner, name, value in (
            (Ssh, "wait", lambda _ssh, *_words: self.wait()), (Ssh, "run", lambda _ssh, text, **_more: self.run(text)),
            (guests, "look", lambda *_words: self.look()), (guests, "start", lambda *_words: self.run("start")),
            (monitor, "execute", lambda *_words: self.reset()),
        ):  # fmt: skip
            monkeypatch.setattr(owner, name, value)

    def wait(self) -> None:
        if self.hangs:
            raise LabError("no ssh")

    def run(self, text: str) -> str:
        self.commands.append(text)
        if "forget" in text and self.boot == "b2":
            self.phase = ""
        return "yes" if text.startswith("if ") else ""

    def reset(self) -> None:
        self.commands.append("reset")
        self.boot, self.hangs = "b2", False

    def look(self) -> Seen:
        """Its VFs get their driver some time after the boot."""
        self.looks += 1
        drivers = dict.fromkeys(SEEN.drivers, "vfio-pci" if self.looks > 5 else "igbvf")
        return replace(SEEN, boot=self.boot, phase=self.phase, drivers=drivers, sectors=COUNTED)


@pytest.mark.parametrize("hangs", [True, False])
def test_what_a_failed_case_has_left_is_gone(monkeypatch: pytest.MonkeyPatch, target: Running, hangs: bool) -> None:
    left = Left(monkeypatch, hangs)
    before = prepare.prepared(target, LabFault("x", "what", SAME, ""), "new")
    assert (before.phase, left.commands.count("reset")) == ("", 1)
    assert set(before.drivers.values()) == {"vfio-pci"}
    clear, start = left.commands.index(prepare.CLEAR), left.commands.index("start")
    assert clear < start
    assert (left.commands.index("reset") < clear) == hangs
    assert "systemctl disable --quiet kvmfleet-fault.service" in prepare.CLEAR


class Strike:
    """The watcher on a host whose update is in a phase."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.console, self.group = folder / "console", folder / "kvmfleet-sriov-resume.service/cgroup.freeze"
        self.group.parent.mkdir()
        self.group.write_text("")
        (folder / "status").write_text('{"phase": "resuming"}')
        for name, value in (("STATUS", "status"), ("CONSOLE", "console"), ("UNIT", "unit"), ("GROUPS", "")):
            monkeypatch.setattr(watcher, name, str(folder / value))

    def run(self, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
        monkeypatch.setattr(sys, "argv", ["watcher", "saved,resuming", command])
        watcher.main()


def test_what_is_at_work_stands_still_while_it_is_struck(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    strike = Strike(tmp_path, monkeypatch)
    strike.run(monkeypatch, f"cat {strike.group} >{tmp_path}/seen")
    assert ((tmp_path / "seen").read_text(), strike.group.read_text()) == ("1", "0")
    assert watcher.ANNOUNCED in strike.console.read_text()


def test_it_waits_for_its_phase(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As the status is replaced; other phases are none of its."""
    strike = Strike(tmp_path, monkeypatch)
    (tmp_path / "status").write_text('{"phase": "armed"}')

    def replace_status() -> None:
        for name in ("unplugging", "saved"):
            seen.append(strike.console.exists())
            (tmp_path / "new").write_text(f'{{"phase": "{name}"}}')
            (tmp_path / "new").rename(tmp_path / "status")

    seen: list[bool] = []
    later = threading.Timer(0.3, replace_status)
    later.start()
    strike.run(monkeypatch, "")
    later.join()
    assert seen == [False, False]
    assert strike.group.read_text() == "1"


def test_without_a_command_it_hangs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    strike = Strike(tmp_path, monkeypatch)
    strike.run(monkeypatch, "")
    assert strike.group.read_text() == "1"


@pytest.mark.parametrize(("state", "resumed"), [("saved", 0), ("running", 1)])
def test_the_crash_kernel_notes_what_was_restored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: str, resumed: int
) -> None:
    """In the words of the row; then it resets the host."""
    (tmp_path / "vms/web1").mkdir(parents=True)
    (tmp_path / "vms/web1/claim.json").write_text(f'{{"state": "{state}"}}')
    (tmp_path / "status.json").write_text('{"phase": "resuming"}')
    for name, value in (
        ("FOLDER", ""),
        ("UPDATE", ""),
        ("TRIGGER", "trigger"),
        ("VMCORE", "status.json"),
        ("EXES", "x"),
    ):
        monkeypatch.setattr(crash_kernel, name, str(tmp_path / value))
    done: subprocess.CompletedProcess[str] = subprocess.CompletedProcess(["systemctl"], 3)
    monkeypatch.setattr(subprocess, "run", lambda *_words, **_names: done)
    crash_kernel.look()
    expected = f"release={os.uname().release} crash=yes phase=resuming qemus=0 resumed={resumed}"
    assert (tmp_path / "crash").read_text().strip() == expected
    assert (tmp_path / "trigger").read_text() == "b"
    (row,) = [one for one in ROWS if one.name == "lab_crash_kernel"]
    assert (f"'{expected}'" in row.evidence.replace("NEW", os.uname().release)) == (not resumed)


def test_rows_say_when_they_strike() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert row.at or row.words or row.refused or row.name == "lab_nothing", row.name
        assert not row.at or row.command or row.cut or row.options.get("watchdog") == "require", row.name
        assert row.name.startswith("lab_")
    refused = [row for row in ROWS if row.refused]
    assert list(ROWS[-len(refused) :]) == refused  # a host must be reset after them


def test_rows_of_libvirt_have_names_and_a_fleet_of_their_own() -> None:
    """Runs are asked for by names."""
    assert all(one.name.startswith("libvirt") for one in LIBVIRT_ROWS)
    (host,) = fleet.load(libvirt_rows.FLEET).hosts
    assert [vm.manager for vm in host.vms] == ["libvirt", ""]
    assert run.LEVEL_OF.keys() == {one.name for one in (*ROWS, *TRIALS, *LIBVIRT_ROWS)}


def test_the_definition_of_a_domain() -> None:
    """Its VF by address, as its host binds it."""
    text = domain.xml("web1", 32, "0000:01:10.4", (), [domain.disk("/images/web1.img")])
    found = domain_xml.parse(text)
    assert (found.name, whole_domain.parse(text).memory_bytes) == ("web1", 32 << 20)
    assert [one.address for one in whole_domain.parse(text).host_devices] == ["0000:01:10.4"]
    assert text.count("pcie-root-port") == domain.PORTS


def test_a_domain_of_an_earlier_case_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its saved memory: a domain that stays fails."""
    commands: list[str] = []
    monkeypatch.setattr(Ssh, "run", lambda _ssh, text, **_more: commands.append(text))
    domain.start(Ssh(1, Path("key")), "web1", "<domain/>", "/folder")
    assert "managedsave-remove web1" in commands[0]
    assert commands[0].endswith('test -z "$(virsh -q list --all --name | grep -Fx web1)"')
    assert commands[1:] == ["cat >/folder/web1.xml", "virsh -q define /folder/web1.xml && virsh -q start web1"]
