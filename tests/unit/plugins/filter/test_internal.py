# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `internal`, and who calls it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.kvmfleet.sriov.plugins.filter.internal import FUNCTIONS, internal

ROOT = Path(__file__).resolve().parents[4]
FILES = [path for folder in ("roles", "playbooks") for path in ROOT.glob(f"{folder}/**/*.yml")]
CALLS = re.compile(r"kvmfleet\.sriov\.internal(?:\('|', ')(\w+)'")
PUBLIC = re.compile(r"\|\s*(?:map\(')?kvmfleet\.sriov\.(\w+)")


def test_roles_and_playbooks_call_all_of_it_and_nothing_else() -> None:
    called = {name for path in FILES for name in CALLS.findall(path.read_text())}
    assert called == set(FUNCTIONS)


def test_other_filters_that_they_use_are_documented() -> None:
    used = {name for path in FILES for name in PUBLIC.findall(path.read_text())}
    assert {name for name in used if not (ROOT / f"plugins/filter/{name}.yml").exists()} == set()


def test_errors_are_those_of_filters() -> None:
    with pytest.raises(AnsibleFilterError, match="there is no function 'nothing'"):
        internal(1, "nothing")
    with pytest.raises(AnsibleFilterError, match=r"m\.json is not a manifest of role kernel_build"):
        internal("[]", "manifest", "m.json")
