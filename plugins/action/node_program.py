# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of ``node_program``: packs the program and installs it.

It is packed once in a run, for all hosts. ``copy`` installs it where it differs, unless a live update has begun
with the one that is there, or VMs are saved in a form that only that one knows.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from ansible.constants import DEFAULT_LOCAL_TMP
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import PROGRAM
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._begun_update import (
    FOREIGN,
    MANIFEST_FILE,
    NEEDED,
    STATUS,
    is_foreign,
    names,
    phase_of,
    refusal,
    refusal_of_states,
    search,
)
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._node_program import packed_once


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible has no types
    _requires_connection = True
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Result of ``copy``, without facts of the controller's temporary file."""
        super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec({"dest": {"type": "path", "default": PROGRAM}})
        program = packed_once(Path(DEFAULT_LOCAL_TMP))  # of this run of Ansible, which removes it at its end
        result = self._copy(str(program), arguments["dest"], task_vars or {}, check=True)
        if result.get("changed"):
            if arguments["dest"] == PROGRAM:
                self._refuse_during_update(task_vars or {})
            if not self._task.check_mode:
                result = self._copy(str(program), arguments["dest"], task_vars or {})
        if result.get("failed"):
            raise AnsibleActionFail(f"cannot install {arguments['dest']}: {result.get('msg')}")
        return {"changed": bool(result.get("changed")), "dest": arguments["dest"], "checksum": result.get("checksum")}

    def _refuse_during_update(self, task_vars: dict[str, Any]) -> None:
        """Fail where an update that has begun needs the present program."""
        status = self._read(STATUS, task_vars)
        phase = phase_of(status)
        if phase is not None:
            raise AnsibleActionFail(refusal(phase))
        saved = self._find(NEEDED, task_vars) if status is not None else []
        if saved and not is_foreign(self._read(MANIFEST_FILE, task_vars)):
            saved = self._find(FOREIGN, task_vars)
        if saved:
            raise AnsibleActionFail(refusal_of_states(saved))

    def _read(self, path: str, task_vars: dict[str, Any]) -> str | None:
        read = self._execute_module("ansible.legacy.slurp", {"src": path}, task_vars=task_vars)
        if read.get("failed") and "not found" not in str(read.get("msg")):
            raise AnsibleActionFail(f"cannot read {path}, so {PROGRAM} is not replaced: {read.get('msg')}")
        return None if read.get("failed") else base64.b64decode(read["content"]).decode(errors="replace")

    def _find(self, text: str, task_vars: dict[str, Any]) -> list[str]:
        """VMs whose claim's text fits."""
        found = self._execute_module("ansible.legacy.find", search(text), task_vars=task_vars)
        if found.get("failed"):
            raise AnsibleActionFail(f"cannot read claims of VMs, so {PROGRAM} is not replaced: {found.get('msg')}")
        return names(found["files"])

    def _copy(self, source: str, dest: str, task_vars: dict[str, Any], check: bool = False) -> dict[str, Any]:
        """Copy the program, or with ``check`` only compare it."""
        task = self._task.copy()
        task.check_mode = check or task.check_mode
        task.args = {"src": source, "dest": dest, "owner": "root", "group": "root", "mode": "0755", "remote_src": False}
        copy = self._shared_loader_obj.action_loader.get(
            "ansible.legacy.copy",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        return dict(copy.run(task_vars=task_vars))
