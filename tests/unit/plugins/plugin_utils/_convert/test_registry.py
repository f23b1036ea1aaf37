# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry of converters, as filters and the playbook read it."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.kvmfleet.sriov.plugins.filter import convert, internal
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._convert import for_playbook, registry

STATE = {"interfaces": [{"name": "eth0", "ethernet": {"sr-iov": {"total-vfs": 2}}}]}


SOURCES = " or ".join(", ".join(registry.CONVERTERS).rsplit(", ", 1))


def test_each_file_is_a_filter_of_its_name() -> None:
    assert sorted(one.convert.__name__ for one in registry.CONVERTERS.values()) == registry.FILES
    assert sorted(convert.FilterModule().filters()) == registry.FILES


def test_what_the_playbook_asks_for() -> None:
    source = for_playbook.converter("netplan")
    assert (source["known"], source["of_host"], source["command"]) == (True, False, ["netplan", "get"])
    assert (source["sources"], source["files"]) == (SOURCES, ["sriov_policies"])
    assert for_playbook.converter("host")["of_host"]
    assert not for_playbook.converter("ifupdown")["known"]


def test_one_document_or_all() -> None:
    """Only converters that take ``pfs`` and ``labels`` get them."""
    found = registry.convert([STATE], "nmstate", pfs=[], labels={"role": "gw"})
    assert found["document"]["pfs"] == [{"pf": "eth0", "hardware_vfs": 2, "present_vfs": "all"}]
    assert registry.convert([STATE, None, STATE], "nmstate")["document"] == found["document"]
    one = {"network": {"ethernets": {"eth0": {"virtual-function-count": 2}}}}
    assert registry.convert([one, None, {"network": {"version": 2}}], "netplan")["document"] == found["document"]
    policy = {"kind": "SriovNetworkNodePolicy", "metadata": {"name": "a"}, "spec": {"numVfs": 1, "nicSelector": {}}}
    with pytest.raises(BadInputError, match="policy a"):
        registry.convert([policy, policy], "sriov_policies")
    assert registry.convert([], "host", pfs=[]) == {"document": {"pfs": []}, "notices": []}


def test_errors_are_those_of_filters() -> None:
    with pytest.raises(AnsibleFilterError, match=r"^from_nmstate: network state: 'nonsense' is not a mapping"):
        internal.internal(["nonsense"], "convert", "nmstate")
    with pytest.raises(BadInputError, match=f"'ifupdown' is not one of {', '.join(registry.CONVERTERS)}"):
        registry.named("ifupdown")
