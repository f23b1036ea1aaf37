# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reasons of failed tasks, their items and programs."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import failures

RC = {"msg": "non-zero return code", "rc": 3, "cmd": ["systemctl", "is-active", "a"], "stderr": "", "stdout": "failed"}


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"msg": "no room"}, "Save: no room"),
        ({"msg": "h1 has no room", "assertion": "room"}, "h1 has no room"),
        (RC, "Save: systemctl is-active a ended with 3: failed"),
        ({**RC, "stderr": "no bus"}, "Save: systemctl is-active a ended with 3: no bus"),
        (
            {"msg": "One or more items failed",
             "results": [{"msg": "a"}, {"msg": "b", "failed": True}, {**RC, "failed": True}]},
            "Save: b; systemctl is-active a ended with 3: failed",
        ),
        ({"msg": "One or more items failed", "results": [{"msg": "away", "unreachable": True}] * 9}, "Save: away"),
        (
            {"msg": "One or more items failed",
             "results": [{"failed": True, "attempts": 60, "item": {"name": "web1"}}],
            },
            "Save: web1: still not after 60 attempts",
        ),
        ({}, "Save: it gave no reason"),
    ],
    ids=["message", "assertion", "program", "stderr first", "items", "the same once", "attempts", "nothing"],
)  # fmt: skip
def test_reasons(result: dict[str, Any], text: str) -> None:
    assert failures.reason(result, "Save") == text


def test_reasons_have_an_end() -> None:
    assert len(failures.reason({"msg": "x" * 10_000}, "Save")) == failures.LONGEST
