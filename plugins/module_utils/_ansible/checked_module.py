# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that name mistakes in arguments as documents do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .._model.errors import BadInputError


class CheckedModule(AnsibleModule):  # type: ignore[misc]  # it has no types
    """An `AnsibleModule` that names all mistakes of its arguments.

    Ansible names the first alone. ``check`` raises `BadInputError` for arguments as they were given; where it finds
    nothing, Ansible's words stay.
    """

    def __init__(self, *, check: Callable[[Mapping[str, Any]], object], **spec: Any) -> None:  # noqa: ANN401 - a spec
        self._check: Callable[[Mapping[str, Any]], object] | None = check
        super().__init__(**spec)
        self._check = None

    def fail_json(self, msg: str, **values: Any) -> None:  # noqa: ANN401 - results of any type
        """Fail; while arguments are read, with what ``check`` finds."""
        if self._check is not None:
            try:
                self._check({key: value for key, value in self.params.items() if not key.startswith("_ansible")})
            except BadInputError as error:
                msg, values = str(error), {"kind": type(error).__name__, "failed_pfs": {}}
        super().fail_json(msg, **values)
