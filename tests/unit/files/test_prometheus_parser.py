# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics as the parser of Prometheus' own client library reads them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.last_apply import RESULTS, LastApply
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.metrics import Facts, PfFacts, render
from tests.fake.tools import exposition

COUNTS = {"supported": 7, "hardware": 7, "present": 3, "bound": 2, "held": 1, "wanted": 4, "hardware_wanted": 7}
PFS = (
    PfFacts("0000:03:00.0", "eth0", "igb", "vf-id", False, COUNTS, False),
    PfFacts("0000:04:00.0", None, None, "stock", False, {"supported": 8}),
    PfFacts("0000:05:00.0", "eth1", blocked=True),
)


def samples(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Values by labels by name, all of them gauges with a help."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        assert (family.type, bool(family.documentation)) == ("gauge", True), family.name
        for one in family.samples:
            found.setdefault(one.name, {})[tuple(sorted(one.labels.items()))] = one.value
    return found


def ours(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """The same by the tests' own parser."""
    return {
        name: {tuple(sorted(labels)): value for labels, value in values.items()}
        for name, values in exposition.parse(text).items()
    }


def test_it_reads_all_there_is() -> None:
    text = render(Facts(PFS, True, LastApply(1700000000.25, 0.5, "failed")))
    found = samples(text)
    assert found == ours(text)
    assert found["kvmfleet_sriov_vfs_held"] == {(("pf", "0000:03:00.0"),): 1.0}
    assert sum(map(len, found.values())) == sum(not line.startswith("#") for line in text.splitlines())


@given(netdev=st.text(), driver=st.text(), seconds=st.floats(0, 1e9), result=st.sampled_from(RESULTS))
def test_it_reads_whatever_the_kernel_calls_things(netdev: str, driver: str, seconds: float, result: str) -> None:
    text = render(Facts((PfFacts("x", netdev, driver),), last=LastApply(1.0, seconds, result)))
    assert samples(text) == ours(text)
