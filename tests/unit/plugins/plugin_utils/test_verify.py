# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the controller for VFs of VMs, with real programs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.kvmfleet.sriov.plugins.action import live_update_verify
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils import _verify


def vm(name: str = "web1", outcome: str = "restored", **more: object) -> dict[str, Any]:
    return {"name": name, "result": outcome, **more}


def look(check: dict[str, Any], found: dict[str, Any] | None = None) -> dict[str, Any]:
    result = {"vms": [found or vm()]}
    return dict(_verify.verify([{"name": "web1", "check": check}], result, lambda: 1234.5)["web1"])


def command(*words: str, within_s: float = 5) -> dict[str, Any]:
    return {"command": [sys.executable, "-c", *words], "within_s": within_s}


def test_a_command_is_run_until_it_succeeds(tmp_path: Path) -> None:
    text = "import os, sys; path = sys.argv[1]; n = os.path.getsize(path) if os.path.exists(path) else 0\n"
    text += "open(path, 'a').write('x'); sys.exit(n < 2)"
    seen = look(command(text, str(tmp_path / "n")))
    assert seen == {"seen_at": 1234.5, "seen_by": f"command {sys.executable} on the controller", "not_seen": None}
    assert (tmp_path / "n").read_text() == "xxx"


def test_a_command_that_fails_is_heard() -> None:
    seen = look(
        command("import sys; print('a'); print('password=x \x1b[1m', file=sys.stderr); sys.exit(3)", within_s=0.01)
    )
    assert seen["seen_at"] is None
    assert seen["not_seen"] == f"{sys.executable} ended with 3: password=*** ?[1m, for 0.01 s"


def test_a_command_that_hangs_ends_with_its_children(tmp_path: Path) -> None:
    begin = time.monotonic()
    text = f"import subprocess; subprocess.run(['sh', '-c', 'sleep 3; touch {tmp_path}/late'])"
    assert "did not end within 1.0 s" in look(command(text, within_s=0.3))["not_seen"]
    assert time.monotonic() - begin < 3
    time.sleep(3)
    assert not (tmp_path / "late").exists()


def test_a_program_that_is_not_there() -> None:
    seen = look({"command": ["/nonexistent/look"], "within_s": 0.01})
    assert seen["not_seen"] == "No such file or directory, for 0.01 s"


@pytest.mark.parametrize(("status", "seen"), [(0, 1234.5), (1, None)])
def test_a_ping_is_the_program_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, seen: float | None
) -> None:
    program = tmp_path / "ping"
    program.write_text(f'#!/bin/sh\nprintf "%s " "$@" >{tmp_path}/words; exit {status}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = look({"ping": "192.0.2.7", "within_s": 0.01})
    assert (found["seen_at"], found["seen_by"]) == (seen, "ping of 192.0.2.7 from the controller")
    assert (tmp_path / "words").read_text() == "-n -c 1 -W 1 192.0.2.7 "


def test_what_the_host_has_seen_is_handed_on() -> None:
    check = {"ping": "192.0.2.7", "from": "host"}
    assert look(check, vm(seen_at=7.5, not_seen=None))["seen_at"] == 7.5
    assert look(check, vm(seen_at=None, not_seen="no route"))["not_seen"] == "no route"
    assert look(check)["not_seen"] == "its host has not looked"


@pytest.mark.parametrize("outcome", ["failed", "left", None])
def test_a_vm_that_does_not_run_is_not_asked(outcome: str) -> None:
    """Whoever answers is another."""
    seen = look(command("pass"), vm(outcome=outcome, seen_at=7.5))
    assert (seen["seen_at"], seen["not_seen"]) == (None, f"it does not run, its result is {outcome}")


def test_a_vm_that_its_user_shut_down_is_not_lost() -> None:
    assert _verify.verify([{"name": "web1", "check": command("pass")}], {"vms": [vm("web1", outcome="ended")]}) == {}


def test_all_at_once_and_the_lost_by_name() -> None:
    wanted = [{"name": f"vm{n}", "check": command("import time; time.sleep(0.7)")} for n in range(8)]
    wanted += [{"name": "bad", "check": {"command": ["false"], "within_s": 0.01}}, {"name": "plain"}, {"name": "gone"}]
    result = {"vms": [vm(name) for name in ("bad", "plain", "quiet", *(f"vm{n}" for n in range(8)))]}
    begin = time.monotonic()
    seen = _verify.verify(wanted, result)
    assert time.monotonic() - begin < 5
    assert set(seen) == {"bad", *(f"vm{n}" for n in range(8))}
    assert _verify.lost(seen) == [
        "VM bad runs, its VF was not seen to work by command false on the controller: false ended with 1, for 0.01 s"
    ]


def test_a_wrong_check_is_named() -> None:
    with pytest.raises(BadInputError, match=r"live_update_vms: web1: check\.ping"):
        look({"ping": "web1"})


@pytest.mark.parametrize(
    ("answer", "ahead"),
    [
        ({"rc": 0, "stdout": "{}.5\n"}, 100.5),
        ({"rc": 0, "stdout": "x"}, 0.0),
        ({"rc": 1, "stdout": "1.5"}, 0.0),
        (None, 0.0),
    ],
)
def test_stamps_are_of_the_hosts_clock(answer: dict[str, Any] | None, ahead: float) -> None:
    def say(_command: str) -> dict[str, Any]:
        if answer is None:
            raise AnsibleConnectionFailure("no route to host")
        return {**answer, "stdout": answer["stdout"].format(int(time.time()) + 100)}

    made = live_update_verify.ActionModule.__new__(live_update_verify.ActionModule)
    made._low_level_execute_command = say
    assert made._ahead() == pytest.approx(ahead, abs=1.1)
