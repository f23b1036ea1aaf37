# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of role kernel_deploy: the manifest of a built kernel."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import kernel_manifest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError


def manifest_path(path: str) -> str:
    """Absolute path of a manifest.

    A relative one is below the folder that ansible-playbook runs in.
    """
    return os.path.abspath(os.path.expanduser(path))


def read(text: str, path: str) -> dict[str, Any]:
    """`kernel_manifest.read`, with its errors as `AnsibleFilterError`."""
    try:
        return kernel_manifest.read(str(text), path)
    except SriovError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Filters of role kernel_deploy."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "kernel_manifest": read,
            "kernel_manifest_path": manifest_path,
            "is_kernel_build": kernel_manifest.is_build,
        }
