# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wait for hosts that are away, or busy.

A host that is away answers nothing; a busy one answers late, and is given time.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.kvmfleet.sriov.plugins.action import live_update_wait

DONE = {"status": {"phase": "done"}, "result": {"result": "updated"}, "run_unit": "inactive"}
SAVING = {"status": {"phase": "saving"}, "result": None, "run_unit": "active"}


class Connection:
    resets = 0

    def reset(self) -> None:
        self.resets += 1


def action(takes_s: float) -> Any:  # noqa: ANN401 - a stand-in whose internals the tests read
    """The action before a host that needs so long for each answer."""

    def answer(*_words: object, **_names: object) -> dict[str, Any]:
        time.sleep(takes_s)
        return DONE

    made = live_update_wait.ActionModule.__new__(live_update_wait.ActionModule)
    made._connection, made._problem, made._patience = Connection(), "none", 1
    made._execute_module = answer
    made._low_level_execute_command = lambda _command: {"rc": 1, "stdout": ""}
    return made


def test_slow_host_is_given_more_time_each_time() -> None:
    slow = action(1.4)
    assert slow._ask({}) == {}
    assert (slow._patience, slow._connection.resets) == (2, 1)
    assert "within 1 s" in slow._problem
    assert slow._ask({}) == DONE


def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_update_wait, "LONGEST_S", 1)
    hung = action(3)
    assert [hung._ask({}), hung._ask({}), hung._patience] == [{}, {}, 1]


def test_quick_refusal_does_not_cost_patience() -> None:
    away = action(0)
    away._execute_module = lambda *_words, **_names: {"failed": True, "msg": "unreachable"}
    assert away._ask({}) == {}
    assert (away._patience, away._problem) == (1, "unreachable")


def waiting(monkeypatch: pytest.MonkeyPatch, until: str, *answers: dict[str, Any] | Exception) -> Any:  # noqa: ANN401 - a stand-in, as action() makes
    """The action before a host that answers so, one after the other."""
    left = list(answers)

    def answer(*_words: object, **_names: object) -> dict[str, Any]:
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    made = action(0)
    made._execute_module = answer
    made.validate_argument_spec = lambda _spec: ({}, {"until": until, "timeout": 5, "interval": 0.01})
    monkeypatch.setattr(ActionBase, "run", lambda *_words: {})
    return made


AWAY = AnsibleConnectionFailure("Data could not be sent to remote host")


def test_host_between_two_kernels_is_waited_for_and_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = waiting(monkeypatch, "answer", AWAY, AWAY, SAVING)
    assert made.run() == {"changed": False, **SAVING}
    assert made._connection.resets == 2
    assert waiting(monkeypatch, "ended", AWAY, SAVING, DONE).run() == {"changed": False, **DONE}


def test_host_that_refuses_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AnsibleActionFail, match="no Python"):
        waiting(monkeypatch, "answer", AWAY, {"failed": True, "msg": "no Python"}).run()


def test_host_that_never_answers_is_an_error_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    made = waiting(monkeypatch, "answer", *[AWAY] * 10_000)
    made.validate_argument_spec = lambda _spec: ({}, {"until": "answer", "timeout": 0.05, "interval": 0})
    with pytest.raises(AnsibleActionFail, match=r"the host does not answer after .* Data could not be sent") as caught:
        made.run()
    assert caught.value.result["answered"] is False


def test_host_that_is_busy_with_its_guests_is_only_asked_for_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [
        json.dumps({"phase": "saving"}),
        "half of a fi",
        json.dumps({"phase": "filling"}),
        json.dumps({"phase": "done"}),
    ]
    commands = []

    def read(command: str) -> dict[str, object]:
        commands.append(command)
        return {"rc": 0, "stdout": texts.pop(0)}

    made = waiting(monkeypatch, "ended", SAVING, DONE)
    made._low_level_execute_command = read
    assert made.run() == {"changed": False, **DONE}
    assert commands == ["cat /var/lib/kvmfleet-sriov/live-update/status.json"] * 4
