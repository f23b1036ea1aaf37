# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converters as the playbook `convert` asks for them."""

from __future__ import annotations

from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError

from . import registry


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
    """`registry.convert`, with the filter's name in its errors."""
    try:
        return registry.convert(documents, source, **options)
    except BadInputError as error:
        name = registry.named(source).convert.__name__
        raise BadInputError(f"{name}: {error}") from error
