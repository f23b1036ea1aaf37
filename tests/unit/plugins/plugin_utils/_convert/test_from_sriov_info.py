# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversions of hosts' facts, compared with `sriovctl export`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.info import gather
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._convert.from_sriov_info import from_sriov_info
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._convert.from_sriov_policies import from_sriov_policies
from tests.fake.linux.host import FakeHost
from tests.unit.plugins.module_utils._plan.test_properties_of_plans import MEMORY, QUICK, host_of
from tests.unit.plugins.module_utils._report.test_export import PF, apply_history, exported, histories


@QUICK
@given(histories())
def test_facts_say_what_export_says(history: tuple[Any, list[Any], list[tuple[str, int]]]) -> None:
    start, documents, meddling = history
    with host_of(start) as (host, _pf):
        apply_history(host, documents, meddling)
        facts = json.loads(json.dumps(gather(host.sysfs, host.run)))
        found = exported(host)
        assert from_sriov_info(facts) == {"document": found.document.to_dict(), "notices": list(found.notices)}


def test_a_host_with_two_kinds_of_pfs() -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        host = FakeHost(Path(folder))
        host.setup(host.igb(PF), 7, [6], "vfio-pci")
        host.setup(host.nvme(), 8)
        document = from_sriov_info(gather(host.sysfs, host.run))["document"]
        assert [pf["hardware_vfs"] for pf in document["pfs"]] == [7, 8]


def test_a_blocked_pf_is_known_but_not_read(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.setup(host.igb(PF), 7, [6], "vfio-pci")
    host.block(host.pfs[PF], "/sys/x", "0")
    facts = gather(host.sysfs, host.run)
    found = from_sriov_info(facts)
    assert (found["document"], len(found["notices"])) == ({"pfs": []}, 1)
    assert found["notices"][0].startswith(f"PF {PF} is left out, as it cannot be read: process ")
    policy = {"numVfs": 7, "nicSelector": {"vendor": "8086"}, "resourceName": "a"}
    named = {"kind": "SriovNetworkNodePolicy", "metadata": {"name": "a"}, "spec": policy}
    assert [pf["pf"] for pf in from_sriov_policies(named, pfs=facts)["document"]["pfs"]] == [PF]


@pytest.mark.parametrize("pfs", [{"pfs": []}, "all", [{"pf": PF}], [{"pf": PF, "vfs": None}], [{"pf": PF, "vfs": [1]}]])
def test_something_else(pfs: object) -> None:
    with pytest.raises(BadInputError, match=r"^pfs: "):
        from_sriov_info(pfs)


@pytest.mark.parametrize(("name", "value"), [("hardware_vfs", 10**18), ("hardware_vfs", -1), ("present_vfs", False)])
def test_a_host_that_lies_takes_no_memory(tmp_path: Path, name: str, value: object) -> None:
    """So many ids in a set would end the controller."""
    host = FakeHost(tmp_path)
    host.setup(host.igb(PF), 7, [6], "vfio-pci")
    facts = gather(host.sysfs, host.run)
    facts[0][name] = value
    with pytest.raises(BadInputError, match=f"^pfs: {name} of PF "):
        from_sriov_info(facts)
