# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`sriovctl status` and `metrics`, on a fake tree.

The text of hosts of several kinds is in test_status_text.py.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import HOST_DOCUMENT
from ansible_collections.kvmfleet.sriov.plugins.module_utils._sriovctl import cli, invocation
from tests.fake.linux.host import FakeHost
from tests.fake.linux.users import put
from tests.fake.tools import exposition

IGB, NVME = "0000:03:00.0", "0000:04:00.0"
SPEC = {"pf": NVME, "hardware_vfs": 8, "present_vfs": "2-3,5"}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    """A fake host that the program takes for its own."""
    host = FakeHost(tmp_path / "root")
    host.setup(host.igb(IGB), 7, [6])
    host.nvme(NVME)
    monkeypatch.setattr(invocation, "machine", lambda _arguments: (host.sysfs, host.run))
    return host


def declare(host: FakeHost, *pfs: dict[str, Any]) -> None:
    put(host, HOST_DOCUMENT.lstrip("/"), json.dumps({"pfs": list(pfs)}))


def first_words(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines()]


# arguments, first words of the lines
SHOWN: list[tuple[list[str], list[str]]] = [
    ([], ["PF", IGB, NVME]),
    (["--vfs"], ["PF", IGB, "VF", "0-5", "6", NVME]),
    (["eth0"], ["PF", IGB, "VF", "0-5", "6"]),
    (["driver=nvme"], ["PF", NVME]),
    (["driver=nvme", IGB], ["PF", IGB, "VF", "0-5", "6", NVME]),
]


@pytest.mark.parametrize(("words", "lines"), SHOWN)
def test_vfs_where_they_are_asked_for(
    host: FakeHost, capsys: pytest.CaptureFixture[str], words: list[str], lines: list[str]
) -> None:
    assert cli.main(["status", *words]) == 0
    assert first_words(capsys.readouterr().out) == lines


def test_json_has_all_there_is(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    declare(host, SPEC)
    put(host, "proc/cmdline", "pci=sriov_keep_vfs\n")
    put(host, "run/kvmfleet-sriov/last_apply.json", '{"time": 1.5, "seconds": 0.25, "result": "failed"}')
    assert cli.main(["status", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    igb, nvme = found["pfs"]
    assert ([vf["id"] for vf in igb["vfs"]], igb["declared"], igb["drift_steps"]) == ([*range(7)], False, None)
    assert (nvme["declared"], nvme["drift_steps"]) == (True, 2)
    assert found["kernel"] == {"release": None, "pci": ["sriov_keep_vfs"]}
    assert found["last_apply"] == {"time": 1.5, "seconds": 0.25, "result": "failed"}
    assert found["notes"] == ["the last apply ended with 'failed'"]


def test_a_run_that_was_killed_is_reported(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    put(host, "run/kvmfleet-sriov/unfinished/0000:03:00.0", "{}")
    assert cli.main(["status"]) == 0
    assert "Note: PF 0000:03:00.0: a run did not come to its end; what it had taken away" in capsys.readouterr().out


def test_selectors_and_their_errors(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--json", "driver=igb,index=0"]) == 0
    assert [pf["netdev"] for pf in json.loads(capsys.readouterr().out)["pfs"]] == ["eth0"]
    assert cli.main(["status", "driver=ice"]) == 2
    assert "PF {driver: ice} is not on this host; PFs of this host: 0000:03:00.0 (eth0; driver igb)" in (
        capsys.readouterr().err
    )


def test_a_blocked_pf(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    host.block(host.pfs[IGB], "/sys/x", "0")
    assert cli.main(["status", "eth0"]) == 0
    assert [line[:12] for line in capsys.readouterr().out.splitlines()] == [IGB]
    declare(host, {"pf": IGB, "hardware_vfs": 1})
    for command in ("plan", "apply"):
        assert cli.main([command]) == 3
        assert "has been writing '0' to /sys/x" in capsys.readouterr().err


# what is declared, programs that are missing, notes
NOTES: list[tuple[str, set[str], list[str]]] = [
    ("{", set(), ["the host document does not fit: {root}/etc/kvmfleet-sriov/host.json is not JSON: "]),
    ('{"pfs": [{"pf": "eth7"}]}', set(), ["the host document does not fit: PF 'eth7' is not on this host"]),
    ('{"pfs": []}', {"devlink"}, [f"PF {IGB}: eswitch_mode: 'devlink -j dev eswitch show pci/{IGB}' ended with "]),
    (
        '{"pfs": [{"pf": "eth0", "vfs": [{"ids": 6, "vlan": 5}]}]}', {"ip"},
        [f"PF {IGB}: altnames, mac and properties of VFs: 'ip -json -details link show dev eth0' ended with "],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("document", "missing", "notes"), NOTES)
def test_notes(
    host: FakeHost, capsys: pytest.CaptureFixture[str], document: str, missing: set[str], notes: list[str]
) -> None:
    put(host, HOST_DOCUMENT.lstrip("/"), document)
    host.run.missing = missing
    assert cli.main(["status"]) == 0
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Note: ")]
    assert len(shown) == len(notes)
    assert [line[: len(f"Note: {note.format(root=host.root)}")] for line, note in zip(shown, notes)] == [
        f"Note: {note.format(root=host.root)}" for note in notes
    ]


def test_below_another_root(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No program, and no interface of this machine."""
    host = FakeHost(tmp_path / "root")
    host.setup(host.igb(IGB), 7, [6])
    assert cli.main(["--root", str(host.root), "status"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "PF            NETDEV  DRIVER  ENABLED  PRESENT  BOUND   INTERFACE",
        "0000:03:00.0  eth0    igb     7/7      6        none 1  vf-id",
    ]


def test_users_other_than_root_learn_what_they_miss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    host = FakeHost(tmp_path)
    host.igb(IGB)
    host.sysfs.root = ""
    monkeypatch.setattr(host.sysfs, "real", lambda path: f"{tmp_path}{path}")
    monkeypatch.setattr(invocation, "machine", lambda _arguments: (host.sysfs, host.run))
    assert cli.main(["status"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Note: only root sees all users of VFs"


def value(text: str, name: str) -> float | None:
    """The value of the first sample."""
    samples = exposition.parse(text).get(f"kvmfleet_sriov_{name}", {})
    return next(iter(samples.values()), None)


def test_metrics_on_demand(host: FakeHost, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["metrics"]) == 0
    assert "document_valid" not in capsys.readouterr().out
    declare(host, SPEC)
    assert cli.main(["metrics"]) == 0
    text = capsys.readouterr().out
    assert [value(text, name) for name in ("drift_steps", "vfs_wanted", "document_valid")] == [2, 3, 1]
    assert "last_apply" not in text
    out = tmp_path / "sriov.prom"
    assert cli.main(["metrics", "--output", str(out)]) == 0
    assert capsys.readouterr().out == ""
    assert (out.read_text(), out.stat().st_mode & 0o777) == (text, 0o644)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root", "sriov.prom"]
    assert cli.main(["metrics", "--output", str(tmp_path / "none/sriov.prom")]) == 1
    (host.root / "etc/kvmfleet-sriov/host.json").write_text("{")
    assert cli.main(["metrics"]) == 0
    shown = capsys.readouterr()
    assert value(shown.out, "document_valid") == 0
    assert "sriovctl: note: " in shown.err
    assert "host.json is not JSON" in shown.err


# programs that are missing, what is declared of the network PF
MISSING = [({"devlink"}, {"eswitch_mode": "switchdev"}), ({"ip"}, {"vfs": [{"ids": 6, "vlan": 5}]})]


@pytest.mark.parametrize(("missing", "spec"), MISSING)
def test_metrics_of_what_can_be_read(
    host: FakeHost, capsys: pytest.CaptureFixture[str], missing: set[str], spec: dict[str, Any]
) -> None:
    """Metrics and a note where a reading failed."""
    host.run.missing = missing
    declare(host, {"pf": IGB, **spec}, SPEC)
    assert cli.main(["metrics"]) == 0
    shown = capsys.readouterr()
    metrics = exposition.parse(shown.out)
    unknown = metrics["kvmfleet_sriov_drift_unknown"]
    assert unknown == {(("pf", IGB),): 1, (("pf", NVME),): 0}
    assert metrics["kvmfleet_sriov_drift_steps"] == {(("pf", NVME),): 2}
    assert metrics["kvmfleet_sriov_vfs_present"] == {(("pf", IGB),): 1, (("pf", NVME),): 0}
    assert shown.err.startswith(f"sriovctl: note: PF {IGB}: '{min(missing)} ")
