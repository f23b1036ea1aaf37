# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that convert other systems' configurations, or hosts, to host documents."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._convert.registry import CONVERTERS


def _filter(convert: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """``convert`` with its errors as `AnsibleFilterError`."""

    @wraps(convert)
    def checked(*values: object, **options: object) -> dict[str, Any]:
        try:
            return convert(*values, **options)
        except SriovError as error:
            raise AnsibleFilterError(f"{convert.__name__}: {error}") from error

    return checked


class FilterModule:
    """Filters by name; each is documented in a file of its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {one.convert.__name__: _filter(one.convert) for one in CONVERTERS.values()}
