# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters for the report of a live update."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import failures, report, secrecy
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import rollout as _rollout
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import way_back as _way_back


def last_heartbeat(log: str, pattern: str = report.PATTERN) -> float:
    """Time of the last heartbeat in a log, 0 without one."""
    heartbeats = report.parse_log(log, pattern)
    return heartbeats[-1].time if heartbeats else 0.0


def finding(item: Mapping[str, Any]) -> str:
    """Problem and fix of a refusal, as a sentence."""
    return f"{item['problem']}: {item['fix']}"


class FilterModule:
    """Filters of this collection's playbooks."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "last_heartbeat": last_heartbeat,
            "finding": finding,
            "failure": failures.reason,
            "rollout": _rollout.rollout,
            "way_back": _way_back.way_back,
            "public_manifest": secrecy.public_manifest,
            "without_secrets": secrecy.without_secrets,
            "heartbeats_alone": secrecy.heartbeats_alone,
        }
