# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter `internal`: functions of this collection's roles and playbooks.

One filter for all of them: whatever is in this folder has a public name, and none of these is for users.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import kernel_manifest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils import _ha_release
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._convert import for_playbook
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import failures, qualification, report, secrecy
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import rollout as _rollout
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import way_back as _way_back


def manifest_path(path: str) -> str:
    """Absolute path of a manifest.

    A relative one is below the folder that ansible-playbook runs in.
    """
    return os.path.abspath(os.path.expanduser(path))


def manifest(text: object, path: str) -> dict[str, Any]:
    """The manifest of a kernel in a text, checked."""
    return kernel_manifest.read(str(text), path)


def last_heartbeat(log: str, pattern: str = report.PATTERN) -> float:
    """Time of the last heartbeat in a log, 0 without one."""
    heartbeats = report.parse_log(log, pattern)
    return heartbeats[-1].time if heartbeats else 0.0


def finding(item: Mapping[str, Any]) -> str:
    """Problem and fix of a refusal, as a sentence."""
    return f"{item['problem']}: {item['fix']}"


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "convert": for_playbook.convert,
    "converter": for_playbook.converter,
    "failure": failures.reason,
    "finding": finding,
    "ha_word": _ha_release.word,
    "heartbeats_alone": secrecy.heartbeats_alone,
    "last_heartbeat": last_heartbeat,
    "manifest": manifest,
    "manifest_path": manifest_path,
    "public_manifest": secrecy.public_manifest,
    "qualification": qualification.qualification,
    "rollout": _rollout.rollout,
    "way_back": _way_back.way_back,
    "without_secrets": secrecy.without_secrets,
}
"""Functions that roles and playbooks of this collection call, by name."""


def internal(value: object, name: str, *more: object, **options: object) -> Any:  # noqa: ANN401 - as the function returns it
    """The result of one of `FUNCTIONS`, with its errors as `AnsibleFilterError`."""
    if name not in FUNCTIONS:
        raise AnsibleFilterError(f"internal: there is no function '{name}' for roles and playbooks of this collection")
    try:
        return FUNCTIONS[name](value, *more, **options)
    except SriovError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter; it is documented in the file of its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"internal": internal}
