# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of QEMU options, changed key by key."""

from __future__ import annotations

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.option_value import OptionValue, parts


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("a=1,b=2", {"a": "1", "b": "2"}),
        ("first,b", {"kind": "first", "b": "on"}),
        ("file=/a,,b,,,id=d", {"file": "/a,b,", "id": "d"}),
        ("a=,,b=1", {"a": ",b=1"}),
        ("a=,b=1", {"a": "", "b": "1"}),
        ('{"a": 1, "b": {"c": true}}', {"a": 1, "b": {"c": True}}),
        ("{broken", {}),
        ("{" * 100_000, {}),
    ],
)
def test_both_forms(text: str, keys: dict[str, object]) -> None:
    value = OptionValue.parse(text, "kind")
    assert value.items == keys
    assert OptionValue.parse(str(value)) == value


def test_changes_stay_in_the_form_of_the_value() -> None:
    assert str(OptionValue.parse("a=1,,2,b=2").with_(read_only=True)) == "a=1,,2,b=2,read-only=on"
    assert str(OptionValue.parse('{"a": 1}').with_(read_only=True)) == '{"a": 1, "read-only": true}'
    assert str(OptionValue.parse("a=1,b=2").only(lambda key: key == "b")) == "b=2"


def test_a_comma_at_the_end() -> None:
    assert parts("a,b,") == ["a", "b"]
