# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters as Ansible loads them, one for each converter.

Their errors are those of filters.
"""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.kvmfleet.sriov.plugins.filter.convert import FilterModule

FILTERS = FilterModule().filters()


def test_filters_pass_everything_on() -> None:
    policy = {
        "metadata": {"name": "a"},
        "spec": {"numVfs": 2, "nicSelector": {"vendor": "15b3"}, "nodeSelector": {"role": "gw"}, "resourceName": "a"},
    }
    pfs = [{"pf": "0000:3b:00.0", "vendor": "0x15b3"}]
    found = FILTERS["from_sriov_policies"](policy, pfs=pfs, labels={"role": "gw"})
    assert [pf["pf"] for pf in found["document"]["pfs"]] == ["0000:3b:00.0"]


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_wrong_input_is_an_error_of_the_filter(name: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^{name}: .*is not a mapping|^{name}: pfs: give the list"):
        FILTERS[name]("nonsense")
