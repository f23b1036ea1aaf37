# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters and exit of a module, apart from the engine.

AnsiballZ packs whatever a module's files import.
"""

from __future__ import annotations

import json
import locale
from collections.abc import Callable
from typing import Any, Protocol

from .._model.errors import SriovError
from .._model.values import printable_lines

LONGEST_ARGUMENT = 4096
"""Characters of an argument in a result."""


class Module(Protocol):
    """The parts of `AnsibleModule` that are used."""

    params: dict[str, Any]
    check_mode: bool
    _diff: bool

    def warn(self, warning: str) -> None: ...
    def exit_json(self, **values: object) -> None: ...
    def fail_json(self, msg: str, **values: object) -> None: ...


def finish(module: Module, act: Callable[[], dict[str, Any]]) -> None:
    """Exit with the result of ``act``, or fail with the engine's error."""
    locale.setlocale(locale.LC_MESSAGES, "C")  # AnsibleModule took the user's; errno texts are compared in C's words
    try:
        values = act()
    except SriovError as error:
        failed = {address: printable_lines(str(cause)) for address, cause in error.failures.items()}
        module.fail_json(
            msg=printable_lines(str(error)),
            kind=error.name,
            failed_pfs=failed,
            invocation=_invocation(module),
        )
    else:
        module.exit_json(**values, invocation=_invocation(module))


def _invocation(module: Module) -> dict[str, Any]:
    """The arguments, as Ansible adds them to each result, without long ones.

    What is declared of thousands of VFs would be the most of a result.
    """
    return {"module_args": {key: _short(value) for key, value in module.params.items()}}


def _short(value: object) -> object:
    if not isinstance(value, (list, dict)):
        return value
    size = len(json.dumps(value, default=str))
    return value if size <= LONGEST_ARGUMENT else f"{len(value)} values, {size} characters"
