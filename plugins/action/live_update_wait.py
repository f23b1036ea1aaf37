# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of ``live_update_wait``: polls a host across its kexec."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Iterator
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import LIVE_UPDATE_STATUS
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.update_folder import DONE, FINAL

SPEC = {
    "until": {"type": "str", "choices": ["ended", "answer"], "default": "ended"},
    "timeout": {"type": "int", "default": 900},
    "interval": {"type": "float", "default": 2.0},
}
ANSWER_S, LONGEST_S = 45, 360
"""First and longest deadline of an answer, in seconds.

A connection to a host that has just jumped into another kernel may hang for ever, so no question may take longer than
the first; a busy host may only be slow, so a question that got no answer in time doubles it, up to the second.
"""


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible has no types
    _requires_connection = True
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Wait for the host's answer, or for the update's end.

        Returns status, result and state of the run's unit. Fails when that takes more than ``timeout`` seconds.
        """
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(SPEC)
        until = time.monotonic() + arguments["timeout"]
        shown, answer, self._problem, self._patience = "", {}, "none", ANSWER_S
        while time.monotonic() < until:
            answer = self._ask(task_vars or {}, final=arguments["until"] == "answer")
            status = answer.get("status") or {}
            if answer and (arguments["until"] == "answer" or not status or status.get("phase") in FINAL):
                return {"changed": False, **{name: answer[name] for name in ("status", "result", "run_unit")}}
            shown = self._show(task_vars or {}, status.get("phase", "away"), shown)
            time.sleep(arguments["interval"])
        waited = f"after {arguments['timeout']} s; the last problem: {self._problem}"
        if arguments["until"] == "answer":
            raise AnsibleActionFail(f"the host does not answer {waited}", result={"answered": False})
        raise AnsibleActionFail(f"the live update is in phase '{shown}' {waited}")

    def _ask(self, task_vars: dict[str, Any], *, final: bool = False) -> dict[str, Any]:
        """Answer of the module `live_update_info`, or a part of it.

        The status alone while the update is under way, unless ``final``; empty when the host cannot be reached now, or
        when the module failed and is not ``final``.
        """
        begin = time.monotonic()
        try:
            with _alarm(self._patience):
                if not final and (status := self._status()).get("phase", DONE) not in FINAL:
                    return {"status": status}
                answer = self._execute_module("kvmfleet.sriov.live_update_info", module_args={}, task_vars=task_vars)
        except (AnsibleError, TimeoutError, OSError) as error:
            self._problem = str(error) or f"no answer within {self._patience} s"
            if time.monotonic() - begin >= self._patience:
                self._patience = min(2 * self._patience, LONGEST_S)
            self._forget_connection()
            return {}
        if answer.get("failed") or "status" not in answer:
            self._problem = str(answer.get("msg", answer))
            if final:
                raise AnsibleActionFail(self._problem)
            self._forget_connection()
            return {}
        return dict(answer)

    def _status(self) -> dict[str, Any]:
        """Content of status.json, empty without one.

        Read without a module, which would take CPU time from guests that are coming back.
        """
        read = self._low_level_execute_command(f"cat {LIVE_UPDATE_STATUS}")
        try:
            return dict(json.loads(read["stdout"])) if read["rc"] == 0 else {}
        except ValueError:
            return {}

    def _forget_connection(self) -> None:
        """Reset the connection to the host.

        A persistent one into the old kernel answers nothing and refuses nothing.
        """
        with contextlib.suppress(AnsibleError, TimeoutError, OSError, AttributeError), _alarm(ANSWER_S):
            self._connection.reset()

    def _show(self, task_vars: dict[str, Any], phase: str, shown: str) -> str:
        if phase != shown:
            Display().display(f"{task_vars.get('inventory_hostname', 'host')}: {phase}")
        return phase


@contextlib.contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    """Raise `TimeoutError` after ``seconds``.

    An action runs in the main thread of a process of its own.
    """

    def late(_number: int, _frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
