# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text of other systems is data in YAML, in values and comments."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kvmfleet.sriov.plugins.filter.document_yaml import document_yaml
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document import yaml_text
from tests.unit.plugins.module_utils._plan.test_properties_of_plans import QUICK


class Loader(yaml.SafeLoader):
    """YAML with Ansible's tag; texts that have it are ``Unsafe``."""


class Unsafe(str):
    """A text that Ansible does not evaluate."""


def unsafe(loader: Any, node: Any) -> Unsafe:  # noqa: ANN401 - PyYAML has no types
    return Unsafe(loader.construct_scalar(node))


Loader.add_constructor("!unsafe", unsafe)


def read(text: str) -> Any:  # noqa: ANN401 - YAML
    return yaml.load(text, Loader)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@QUICK
@given(st.dictionaries(st.sampled_from(["pf", "driver"]), TEXTS | st.integers() | st.booleans()))
def test_values_come_back_and_braces_are_unsafe(data: dict[str, Any]) -> None:
    found = read(yaml_text.value(data))
    assert found == data
    assert all(isinstance(found[key], Unsafe) == ("{" in one) for key, one in data.items() if isinstance(one, str))


@QUICK
@given(TEXTS)
def test_a_notice_is_one_line(text: str) -> None:
    lines = yaml_text.comments([text])
    assert len(lines) == len("\n".join(lines).splitlines()) == 1
    assert read("\n".join([*lines, "a: 1"])) == {"a": 1}


EVIL = "{{lookup('pipe','id')}}"


def test_a_file_with_names_of_a_hostile_host() -> None:
    pfs = [
        {"pf": EVIL, "hardware_vfs": 2, "vfs": [{"ids": "0", "driver": "vfio-pci"}]},
        {"pf": {"netdev": EVIL, "all": True}, "hardware_vfs": "max"},
    ]
    text = document_yaml({"document": {"pfs": pfs}, "notices": [f"a\nsriov_force: {EVIL}", "b\u2028c: d", "\x85e: f"]})
    found = read(text)
    assert set(found) == {"sriov_pfs"}
    one, other = found["sriov_pfs"]
    texts = (one["pf"], other["pf"]["netdev"])
    assert texts == (EVIL, EVIL)
    assert all(isinstance(one, Unsafe) for one in texts)
    assert not isinstance(one["vfs"][0]["ids"], Unsafe)


@pytest.mark.parametrize("data", [None, "x", {"document": {"pfs": []}}, {"document": {"pfs": 1}, "notices": []}])
def test_something_else_is_an_error(data: object) -> None:
    with pytest.raises(AnsibleFilterError, match=r"^document_yaml: "):
        document_yaml(data)
