# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of ``live_update_report``: nothing is done on a host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import old_runs, run_folder

IDLE = "nothing to do"
SPEC = {
    "path": {"type": "path", "required": True},
    "run": {"type": "str", "required": True},
    "hosts": {"type": "dict", "required": True},
    "keep": {"type": "int", "default": 0},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible has no types
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write the report of a run; nothing in check mode."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(SPEC)
        if self._task.check_mode:
            return {"changed": False, "skipped": True}
        asked = arguments["hosts"]
        if asked and all(one.get("result") == IDLE for one in asked.values()):
            lines = [f"{name}: {IDLE}" for name in asked]
            return {"changed": False, "folder": "", "lines": lines, "results": asked}
        try:
            report, changed = run_folder.write(arguments["path"], arguments["run"], arguments["hosts"])
            pruned = old_runs.prune(Path(arguments["path"]), arguments["keep"])
        except (OSError, ValueError) as error:
            message = f"cannot write the report of run {arguments['run']} below {arguments['path']}: {error}"
            raise AnsibleActionFail(message) from error
        folder = f"{arguments['path']}/{arguments['run']}"
        results = {host["name"]: {"result": host["result"], "error": host["error"]} for host in report["hosts"]}
        lines = [*run_folder.lines(report), *pruned]
        return {"changed": changed or bool(pruned), "folder": folder, "lines": lines, "results": results}
