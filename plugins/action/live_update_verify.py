# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of ``live_update_verify``: are the VFs of VMs seen to work?"""

from __future__ import annotations

import re
import time
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils import _verify

SPEC = {
    "vms": {"type": "list", "elements": "dict", "default": []},
    "result": {"type": "dict", "required": True},
}
STAMP = re.compile(r"\s*(\d{1,12}\.\d{1,9})\s*", re.ASCII)


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible has no types
    _requires_connection = True
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Verify all VMs at once.

        A VF that is not seen is no failure."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(SPEC)
        if self._task.check_mode:
            return {"changed": False, "skipped": True}
        ahead = self._ahead() if arguments["vms"] else 0.0
        try:
            seen = _verify.verify(arguments["vms"], arguments["result"], lambda: time.time() + ahead)
        except (BadInputError, KeyError, TypeError) as error:
            raise AnsibleActionFail(f"cannot verify the VFs of VMs: {error}") from error
        return {"changed": False, "seen": seen, "lost": _verify.lost(seen)}

    def _ahead(self) -> float:
        """Seconds by which the host's clock is ahead of this one.

        All other stamps of an update are the host's. 0 when it does not say.
        """
        before = time.time()
        try:
            read = self._low_level_execute_command("date +%s.%N")
        except AnsibleError:
            return 0.0
        match = STAMP.fullmatch(str(read.get("stdout", ""))) if read.get("rc") == 0 else None
        return float(match.group(1)) - (before + time.time()) / 2 if match else 0.0
