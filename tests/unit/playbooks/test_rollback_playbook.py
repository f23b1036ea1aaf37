# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/live_update.yml: hosts that are not well afterwards."""

from __future__ import annotations

import json

import pytest

from tests.fake.fleet.played import AWAY, NEW, SEQUENCE, Fleet
from tests.unit.playbooks.test_ha_hooks import hooks, said

pytestmark = pytest.mark.slow  # runs of ansible-playbook
UNWELL = {"live_update_health_commands": [["false"]], "live_update_serial": [1]}
THERE = ["started", "saving", "kexec", "resuming", "done"]


def reason(fleet: Fleet) -> str:
    """Why h1 failed; h2 must not be begun."""
    first, second = fleet.report()["hosts"]
    assert (first["name"], first["result"], second["result"]) == ("h1", "failed", "not begun")
    assert fleet.log("h2") == []
    return str(first["error"])


def test_a_host_that_is_not_well_goes_back_at_once(fleet: Fleet) -> None:
    """With the kernel, initrd and command line before; a second outage."""
    fleet.host("h1")
    fleet.host("h2")
    done = fleet.run(**UNWELL, live_update_rollback="now")
    assert done.returncode != 0
    assert fleet.log("h1") == [*THERE, "acknowledged", *THERE, "acknowledged"]
    asked = json.loads((fleet.folder / "hosts/h1/state.json").read_text())["asked"]
    assert asked == [
        [NEW, "auto", "", {"rollback": "now", "wait_s": 60.0}],
        ["6.12-old", "/boot/initrd.img-6.12-old", "-pci=sriov_keep_vfs", {}],
    ]
    assert "it went back to kernel 6.12-old, and its VMs run there: that was a second outage" in reason(fleet)
    assert reserved(fleet) == [True, True, True, False]  # at no time another controller could have begun
    run = fleet.folder / "out/latest"
    for folder in ("way-back-h1", "evidence/h1"):
        assert json.loads((run / folder / "result.json").read_text())["host"] == "h1"
        assert json.loads((run / folder / "forgotten.json").read_text()) == {"manifest": "0123"}
    assert (run / "way-back-h1").stat().st_mode & 0o777 == 0o700


def reserved(fleet: Fleet) -> list[bool]:
    """Whether h1 was reserved after each act on it."""
    return list(json.loads((fleet.folder / "hosts/h1/state.json").read_text())["reserved"])


def test_a_host_that_went_back_and_is_not_well_there_either(fleet: Fleet) -> None:
    """It is there, whatever its checks say."""
    fleet.host("h1")
    fleet.host("h2")
    unseen = [{"name": "web1", "check": {"command": ["false"], "within_s": 1}}]
    assert fleet.run(live_update_vms=unseen, live_update_serial=[1], live_update_rollback="now").returncode != 0
    assert fleet.log("h1") == [*THERE, "acknowledged", *THERE]
    said = reason(fleet)
    assert "it went back to kernel 6.12-old, a second outage for its VMs, and is not well there either" in said
    assert "it did not go back" not in said
    assert "the states of its VMs are kept" in said


def test_a_way_back_that_is_refused_gives_the_host_back(fleet: Fleet) -> None:
    fleet.host("h1", refuses="6.12-old")
    fleet.host("h2")
    assert fleet.run(**UNWELL, live_update_rollback="now").returncode != 0
    assert fleet.log("h1") == [*THERE, "acknowledged", "started", "cancelled"]
    assert "it did not go back to kernel 6.12-old: " in reason(fleet)
    assert "refused here" in reason(fleet)
    assert reserved(fleet) == [True, True, False]


def test_a_way_back_that_fails_is_said_and_not_forgotten(fleet: Fleet) -> None:
    fleet.host("h1", back=["armed", "saving", "aborted"])
    fleet.host("h2")
    assert fleet.run(**UNWELL, live_update_rollback="now").returncode != 0
    assert fleet.log("h1") == [*THERE, "acknowledged", "started", "saving", "aborted"]
    assert "it did not go back to kernel 6.12-old: the way back aborted" in reason(fleet)


def test_a_window_keeps_the_host_until_somebody_goes_back(fleet: Fleet) -> None:
    refusal = {"code": "in-progress", "problem": "an earlier live update is in phase done", "fix": "finish it"}
    fleet.host("h1")
    fleet.host("h2")
    assert fleet.run(**UNWELL, live_update_rollback="window").returncode != 0
    assert fleet.log("h1") == THERE
    said = reason(fleet)
    assert "it waits for a window, on kernel 6.12-new with its VMs; to go back to 6.12-old, with an outage of" in said
    assert "12.5 s, run the playbook again with --limit h1 -e live_update_rollback=now" in said
    state = fleet.folder / "hosts/h1/state.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"refusals": [refusal]}))
    done = fleet.run("--limit", "h1", "-e", "live_update_rollback=now", **UNWELL)
    assert done.returncode != 0
    assert fleet.log("h1") == [*THERE, "acknowledged", *THERE, "acknowledged"]


def test_a_host_that_goes_away_in_its_checks_is_not_moved(fleet: Fleet) -> None:
    """Nobody knows whether it is well."""
    fleet.host("h1")
    fleet.host("h2")
    (fleet.folder / "gone").write_text(AWAY)
    leave = ["cp", str(fleet.folder / "gone"), str(fleet.folder / "hosts/h1/away")]
    done = fleet.run(**{**UNWELL, "live_update_health_commands": [leave, ["true"]]}, live_update_rollback="now")
    assert done.returncode != 0
    assert fleet.log("h1") == THERE
    assert "the host went away while its health was checked" in reason(fleet)


def test_by_default_a_host_that_is_not_well_stays(fleet: Fleet) -> None:
    fleet.host("h1")
    fleet.host("h2")
    assert fleet.run(**UNWELL).returncode != 0
    assert fleet.log("h1") == THERE
    assert "it stays on kernel 6.12-new with its VMs (live_update_rollback is report)" in reason(fleet)


@pytest.mark.parametrize(("back", "word"), [(SEQUENCE, "done"), (["armed", "saving", "failed"], "abandon")])
def test_hooks_hold_a_host_for_its_way_back_too(fleet: Fleet, back: list[str], word: str) -> None:
    """Held twice; released once, by how the way back has ended."""
    fleet.host("h1", back=back)
    fleet.host("h2")
    assert fleet.run(**UNWELL, **hooks(fleet), live_update_rollback="now").returncode != 0
    calls = [line for line in said(fleet) if not line.startswith("live-update")]
    assert calls == ["hold; $(x)|h1|3600|", "hold; $(x)|h1|3600|", f"release|h1|{word}|"]
    assert ("live-update abandon" in said(fleet)) == (word == "abandon")
