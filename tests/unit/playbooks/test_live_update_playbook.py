# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/live_update.yml: order of hosts, and later runs."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.fake.fleet.played import NEW, Fleet

pytestmark = pytest.mark.slow  # runs of ansible-playbook


def test_canary_then_the_rest_then_the_report(fleet: Fleet) -> None:
    for name in ("h1", "h2", "h3"):
        fleet.host(name)
    done = fleet.run("-v", "-e", "live_update_confirm_after_kexec=true")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("h1", "h2", "h3"):
        assert fleet.log(name) == ["started", "saving", "kexec", "resuming", "done", "acknowledged"]
        assert (fleet.folder / "hosts" / name / "boot_default").read_text() == "6.12-new True True"
    report = fleet.report()
    assert report["batches"] == [["h1"], ["h2", "h3"]]
    assert [host["result"] for host in report["hosts"]] == ["updated"] * 3
    assert report["hosts"][0]["vms"][0]["outage_s"] == 30.0
    assert "<svg" in (fleet.folder / "out/latest/report.html").read_text()
    assert (fleet.folder / "out/latest/evidence/h3/node.log").read_text()
    for path in (fleet.folder / "out").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    (run,) = [path.name for path in (fleet.folder / "out").iterdir() if not path.is_symlink()]
    assert report["run"] == run
    assert report["hosts"][0]["update"] == "0123"
    assert "outage at least 30.00 s, resumed, VF not checked, counter 1 -> 31" in done.stdout
    kept = "".join(path.read_text() for path in (fleet.folder / "out").rglob("*.*") if path.is_file())
    for secret in ("hunter2", "the tenant's words", "TOKEN"):
        assert secret not in kept
        assert secret not in done.stdout


def test_a_vf_that_is_not_seen_fails_its_host(fleet: Fleet) -> None:
    """Later batches are not begun, and its states are not forgotten."""
    fleet.host("h1")
    fleet.host("h2")
    looked = fleet.folder / "looked"
    vms = [{"name": "web1", "check": {"command": ["touch", str(looked)], "within_s": 0.1}}]
    fleet.hosts["h2"]["live_update_vms"] = vms
    fleet.hosts["h1"]["live_update_vms"] = [{"name": "web1", "check": {"command": ["false"], "within_s": 0.1}}]
    done = fleet.run(live_update_serial=[1])
    assert done.returncode != 0
    words = "h1: VM web1 runs, its VF was not seen to work by command false on the controller: false ended with 1"
    assert words in done.stdout
    assert "acknowledged" not in fleet.log("h1")
    assert (fleet.log("h2"), looked.exists()) == ([], False)
    lost = fleet.report()["hosts"][0]
    assert (lost["result"], lost["vms"][0]["state"]) == ("failed", "resumed, VF not seen")
    assert words.split(": ", 1)[1] in lost["error"]
    fleet.hosts["h1"]["live_update_vms"] = vms
    done = fleet.run(live_update_serial=[1])
    assert done.returncode == 0, done.stdout + done.stderr
    assert [fleet.log(name)[-1] for name in ("h1", "h2")] == ["acknowledged"] * 2
    states = [vm["state"] for host in fleet.report()["hosts"] for vm in host["vms"]]
    assert (states, looked.exists()) == (["went on"] * 2, True)


def test_check_predicts_and_touches_nothing(fleet: Fleet) -> None:
    for name in ("h1", "h2"):
        fleet.host(name)
    done = fleet.run("--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "batch 1: h1" in done.stdout
    assert "h2: outage of about 12.5 s expected" in done.stdout
    assert (fleet.log("h1"), fleet.log("h2")) == ([], [])
    assert not (fleet.folder / "out").exists()


@pytest.mark.parametrize(
    ("inventory", "arguments", "expected"),
    [
        ([2, "100%"], [], [["h1", "h2"], ["h3"]]),
        ([1], ["-e", "live_update_serial=2,100%"], [["h1", "h2"], ["h3"]]),
    ],
    ids=["a list of the inventory", "extra variables win"],
)
def test_batches_are_those_that_were_predicted(
    fleet: Fleet, inventory: object, arguments: list[str], expected: list[list[str]]
) -> None:
    """A play sees extra variables alone: the inventory's were predicted, not used."""
    for name in ("h1", "h2", "h3"):
        fleet.host(name)
    done = fleet.run(*arguments, live_update_serial=inventory)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r'"batch \d+: (.*)"', done.stdout.split("PLAY [Update")[0]) == [
        ", ".join(one) for one in expected
    ]
    assert fleet.report()["batches"] == expected


def test_settings_of_one_host_alone_are_refused(fleet: Fleet) -> None:
    for name in ("h1", "h2"):
        fleet.host(name)
    fleet.hosts["h2"]["live_update_serial"] = [2]
    done = fleet.run()
    assert done.returncode != 0
    assert "live_update_serial is one setting of the whole run, and is" in done.stdout
    assert (fleet.log("h1"), fleet.log("h2")) == ([], [])


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have modules copied, run and removed by a command each."""
    monkeypatch.setenv("ANSIBLE_PIPELINING", "false")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"live_update_kernel": None}, "missing required arguments: live_update_kernel"),
        ({"live_update_vms": {"web1": {}}}, "live_update_vms"),
    ],
    ids=["no kernel", "a mapping for a list"],
)
def test_variables_that_are_wrong_are_named(fleet: Fleet, variables: dict[str, Any], words: str) -> None:
    """Each host is refused, and the report says why."""
    for name in ("h1", "h2"):
        fleet.host(name)
    done = fleet.run(**variables)
    assert done.returncode != 0
    assert "No host is touched: " in done.stdout
    assert words in done.stdout
    assert "undefined" not in done.stdout
    assert [(host["result"], words in host["error"]) for host in fleet.report()["hosts"]] == [("refused", True)] * 2
    assert (fleet.log("h1"), fleet.log("h2")) == ([], [])


def test_nothing_is_forgotten_that_the_controller_has_not_kept(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks that a full controller cannot do count as unreachable."""
    fleet.host("h1")
    fleet.hosts["h1"]["ansible_remote_tmp"] = str(fleet.folder / "tmp")
    monkeypatch.setenv("ANSIBLE_REMOTE_TEMP", "/proc/nowhere")
    done = fleet.run()
    assert done.returncode != 0
    assert "h1: the controller has not kept " in done.stdout
    assert "acknowledged" not in fleet.log("h1")
    monkeypatch.delenv("ANSIBLE_REMOTE_TEMP")
    done = fleet.run()
    assert done.returncode == 0, done.stdout
    assert fleet.log("h1")[-1] == "acknowledged"


def test_skipped_hosts_do_not_stop_the_others(fleet: Fleet) -> None:
    """The canary is the first host that takes part."""
    for name in ("h1", "h2", "h3", "h4"):
        fleet.host(name)
    fleet.host("h5", refusals=[{"code": "x", "problem": "VM web1 is paused, not running", "fix": "let it run"}])
    fleet.away("h1")
    skip = {"live_update_on_refused": "skip", "live_update_on_unreachable": "skip", "live_update_answer_timeout_s": 2}
    done = fleet.run(**skip)
    assert done.returncode != 0
    assert "h1 unreachable: " in done.stdout
    assert "no route to host" in done.stdout
    assert "h5 refused: h5 cannot be updated. VM web1 is paused, not running: let it run" in done.stdout
    assert [fleet.log(name) for name in ("h1", "h5")] == [[], []]
    assert [fleet.log(name)[-1] for name in ("h2", "h3", "h4")] == ["acknowledged"] * 3
    report = fleet.report()
    assert report["batches"] == [["h2"], ["h3", "h4"]]
    assert [(host["name"], host["result"]) for host in report["hosts"]][:3] == [
        ("h1", "unreachable"),
        ("h5", "refused"),
        ("h2", "updated"),
    ]
    assert "no route to host" in report["hosts"][0]["error"]
    assert "VM web1 is paused" in report["hosts"][1]["error"]


@pytest.mark.parametrize("moment", ["examined", "started"])
def test_a_host_that_hangs_holds_up_no_other(fleet: Fleet, moment: str) -> None:
    """As on a file system whose server does not answer."""
    fleet.host("h1")
    fleet.host("h2", hangs_at=moment)
    begin = time.monotonic()
    done = fleet.run(
        live_update_on_refused="skip", live_update_on_unreachable="skip", live_update_act_timeout_s=3
    )  # fmt: skip
    assert time.monotonic() - begin < 55
    assert done.returncode != 0
    assert "Timed out after" in done.stdout
    assert fleet.log("h1")[-1] == "acknowledged"
    assert [host["name"] for host in fleet.report()["hosts"] if host["result"] == "updated"] == ["h1"]


def test_an_unreachable_host_stops_the_run_by_default(fleet: Fleet) -> None:
    for name in ("h1", "h2"):
        fleet.host(name)
    fleet.away("h2")
    done = fleet.run(live_update_answer_timeout_s=2, live_update_on_refused="skip")
    assert done.returncode != 0
    assert "No host is touched: h2 is unreachable, and live_update_on_unreachable is stop" in done.stdout
    assert fleet.log("h1") == []


@pytest.mark.usefixtures("in_pieces")
def test_a_host_that_goes_away_while_it_is_armed_is_not_started(fleet: Fleet) -> None:
    """What it had armed before could be started otherwise."""
    fleet.host("h1", away_at="examined", away_for="1 AnsiballZ_live_update.py")
    fleet.host("h2")
    done = fleet.run()
    assert done.returncode != 0
    assert "h1 failed: the host went away while the update was armed" in done.stdout
    assert (fleet.log("h1"), fleet.log("h2")) == ([], [])


def test_syntax_and_hosts_are_known_before_any_host_is_asked(fleet: Fleet) -> None:
    """Editors and linters ask for them; there are no batches yet."""
    fleet.host("h1")
    for word in ("--syntax-check", "--list-hosts"):
        done = fleet.run(word)
        assert done.returncode == 0, done.stdout + done.stderr


def test_one_refusal_stops_the_run_before_any_host_is_touched(fleet: Fleet) -> None:
    fleet.host("h1")
    fleet.host("h2", refusals=[{"code": "x", "problem": "PF a is in switchdev mode", "fix": "leave it out"}])
    done = fleet.run()
    assert done.returncode != 0
    assert "h2 cannot be updated. PF a is in switchdev mode: leave it out" in done.stdout
    assert (fleet.log("h1"), fleet.log("h2")) == ([], [])


@pytest.mark.parametrize("outcome", ["aborted", "failed"])
def test_a_canary_that_fails_keeps_the_others_untouched(fleet: Fleet, outcome: str) -> None:
    fleet.host("h1", sequence=["armed", "saving", outcome])
    fleet.host("h2")
    done = fleet.run()
    assert done.returncode != 0
    assert f"h1 {outcome}: VM web1: the guest refused" in done.stdout
    assert fleet.log("h2") == []
    assert ("acknowledged" in fleet.log("h1")) == (outcome == "aborted")
    lost, later = fleet.report()["hosts"]
    assert (lost["name"], lost["result"], later["name"], later["result"]) == ("h1", outcome, "h2", "not begun")
    assert "VM web1: the guest refused" in lost["error"]


def test_an_update_that_was_begun_is_only_collected(fleet: Fleet) -> None:
    fleet.host("h1", phase="saving")
    fleet.host("h2", kernel=NEW)
    done = fleet.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert fleet.log("h1") == ["kexec", "resuming", "done", "acknowledged"]
    assert fleet.log("h2") == []
    assert [(host["name"], host["result"]) for host in fleet.report()["hosts"]] == [
        ("h1", "updated"),
        ("h2", "nothing to do"),
    ]


def test_an_update_is_forgotten_last(fleet: Fleet) -> None:
    fleet.host("h1")
    fails = fleet.folder / "hosts/h1/boot_entry_fails"
    fails.write_text("")
    assert fleet.run("-e", "live_update_confirm_after_kexec=true").returncode != 0
    assert "acknowledged" not in fleet.log("h1")
    (fleet.folder / "out/latest/report.json").unlink()
    fails.unlink()
    done = fleet.run("-e", "live_update_confirm_after_kexec=true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert fleet.log("h1")[-1] == "acknowledged"
    assert (fleet.folder / "hosts/h1/boot_default").exists()
    assert fleet.report()["hosts"][0]["result"] == "updated"


@pytest.mark.usefixtures("in_pieces")
def test_a_host_that_is_lost_is_in_the_report_without_older_evidence(fleet: Fleet) -> None:
    """What an earlier run has kept is no evidence of this."""
    fleet.host("h1")
    assert fleet.run().returncode == 0
    first = fleet.report()
    state = fleet.folder / "hosts/h1/state.json"
    again = json.loads(state.read_text()) | {"started": False, "away_at": "started"}
    state.write_text(json.dumps(again))
    assert fleet.run(live_update_timeout_s=3).returncode != 0
    (lost,) = fleet.report()["hosts"]
    assert (lost["result"], lost["vms"], lost["kernel_after"]) == ("failed", [], None)
    assert "the host went away while the update was armed" in lost["error"]
    assert fleet.report()["run"] != first["run"]
    kept = json.loads((fleet.folder / "out" / first["run"] / "report.json").read_text())
    assert kept == first


def test_a_run_with_nothing_to_do_changes_nothing(fleet: Fleet) -> None:
    """The report of the run before stays the latest."""
    for name in ("h1", "h2"):
        fleet.host(name, kernel=NEW)
    done = fleet.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"^(\w+) .*changed=(\d+)", done.stdout, re.M) == [("h1", "0"), ("h2", "0"), ("localhost", "0")]
    assert "h2: nothing to do" in done.stdout
    assert not (fleet.folder / "out").exists()
