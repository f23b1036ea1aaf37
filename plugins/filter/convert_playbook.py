# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the playbook `convert`: registry entry of a source, and conversion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._convert import registry


def converter(source: object) -> dict[str, Any]:
    """Registry entry of ``source`` for the playbook.

    ``known``: whether the source has a converter. ``of_host`` and ``command``: how it is read. ``sources``: the names
    of all, as text. ``files``: those that are converted from a file alone.
    """
    *others, last = registry.CONVERTERS
    one = registry.CONVERTERS.get(str(source))
    return {
        "known": one is not None,
        "of_host": one is not None and one.of_host,
        "command": list(one.command) if one else [],
        "sources": f"{', '.join(others)} or {last}",
        "files": [name for name, each in registry.CONVERTERS.items() if not each.command and not each.of_host],
    }


def convert(documents: list[object], source: str, **options: object) -> dict[str, Any]:
    """`registry.convert`, with its errors as `AnsibleFilterError`."""
    try:
        return registry.convert(documents, source, **options)
    except SriovError as error:
        name = registry.named(source).convert.__name__
        raise AnsibleFilterError(f"{name}: {error}") from error


class FilterModule:
    """Filters of the playbook `convert`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"converter": converter, "convert": convert}
