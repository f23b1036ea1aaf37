# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts as Prometheus text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.last_apply import LastApply
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.metrics import Facts, PfFacts, render
from tests.fake.tools import exposition

COUNTS = {"supported": 7, "hardware": 7, "present": 3, "bound": 2, "held": 1}
SPECS = {"wanted": 4, "hardware_wanted": 7, "drift": 2}
IGB = PfFacts("0000:03:00.0", "eth0", "igb", "vf-id", False, {**COUNTS, **SPECS}, False)
NVME = PfFacts("0000:04:00.0", None, None, "stock", False, COUNTS)
STUCK = PfFacts("0000:05:00.0", "eth1", blocked=True)
ALL = Facts((IGB, NVME, STUCK), True, LastApply(1700000000.25, 0.5, "failed"))
TEXT = """\
# HELP kvmfleet_sriov_pf_info A PF of this host, always 1.
# TYPE kvmfleet_sriov_pf_info gauge
kvmfleet_sriov_pf_info{pf="0000:03:00.0",netdev="eth0",driver="igb",interface="vf-id"} 1
kvmfleet_sriov_pf_info{pf="0000:04:00.0",netdev="",driver="",interface="stock"} 1
kvmfleet_sriov_pf_info{pf="0000:05:00.0",netdev="eth1",driver="",interface=""} 1
# HELP kvmfleet_sriov_pf_blocked Whether a write to the PF waits in the kernel for a user of a VF.
# TYPE kvmfleet_sriov_pf_blocked gauge
kvmfleet_sriov_pf_blocked{pf="0000:03:00.0"} 0
kvmfleet_sriov_pf_blocked{pf="0000:04:00.0"} 0
kvmfleet_sriov_pf_blocked{pf="0000:05:00.0"} 1
# HELP kvmfleet_sriov_vfs_supported VFs that the PF can have.
# TYPE kvmfleet_sriov_vfs_supported gauge
kvmfleet_sriov_vfs_supported{pf="0000:03:00.0"} 7
kvmfleet_sriov_vfs_supported{pf="0000:04:00.0"} 7
# HELP kvmfleet_sriov_vfs_hardware VFs enabled in hardware.
# TYPE kvmfleet_sriov_vfs_hardware gauge
kvmfleet_sriov_vfs_hardware{pf="0000:03:00.0"} 7
kvmfleet_sriov_vfs_hardware{pf="0000:04:00.0"} 7
# HELP kvmfleet_sriov_vfs_hardware_wanted VFs that are declared to be enabled in hardware.
# TYPE kvmfleet_sriov_vfs_hardware_wanted gauge
kvmfleet_sriov_vfs_hardware_wanted{pf="0000:03:00.0"} 7
# HELP kvmfleet_sriov_vfs_wanted VFs that are declared to be present as PCI devices.
# TYPE kvmfleet_sriov_vfs_wanted gauge
kvmfleet_sriov_vfs_wanted{pf="0000:03:00.0"} 4
# HELP kvmfleet_sriov_vfs_present VFs that are present as PCI devices.
# TYPE kvmfleet_sriov_vfs_present gauge
kvmfleet_sriov_vfs_present{pf="0000:03:00.0"} 3
kvmfleet_sriov_vfs_present{pf="0000:04:00.0"} 3
# HELP kvmfleet_sriov_vfs_bound Present VFs that are bound to a driver.
# TYPE kvmfleet_sriov_vfs_bound gauge
kvmfleet_sriov_vfs_bound{pf="0000:03:00.0"} 2
kvmfleet_sriov_vfs_bound{pf="0000:04:00.0"} 2
# HELP kvmfleet_sriov_vfs_held Present VFs that somebody uses.
# TYPE kvmfleet_sriov_vfs_held gauge
kvmfleet_sriov_vfs_held{pf="0000:03:00.0"} 1
kvmfleet_sriov_vfs_held{pf="0000:04:00.0"} 1
# HELP kvmfleet_sriov_drift_steps Steps from what is there to what is declared, as sriovctl plan shows them.
# TYPE kvmfleet_sriov_drift_steps gauge
kvmfleet_sriov_drift_steps{pf="0000:03:00.0"} 2
# HELP kvmfleet_sriov_drift_unknown Whether what is there could not be compared with what is declared.
# TYPE kvmfleet_sriov_drift_unknown gauge
kvmfleet_sriov_drift_unknown{pf="0000:03:00.0"} 0
# HELP kvmfleet_sriov_document_valid Whether the host document fits this host.
# TYPE kvmfleet_sriov_document_valid gauge
kvmfleet_sriov_document_valid 1
# HELP kvmfleet_sriov_last_apply_timestamp_seconds When the last apply ended.
# TYPE kvmfleet_sriov_last_apply_timestamp_seconds gauge
kvmfleet_sriov_last_apply_timestamp_seconds 1700000000.25
# HELP kvmfleet_sriov_last_apply_duration_seconds How long the last apply took.
# TYPE kvmfleet_sriov_last_apply_duration_seconds gauge
kvmfleet_sriov_last_apply_duration_seconds 0.5
# HELP kvmfleet_sriov_last_apply_result How the last apply ended: 1 for that result, 0 for the others.
# TYPE kvmfleet_sriov_last_apply_result gauge
kvmfleet_sriov_last_apply_result{result="done"} 0
kvmfleet_sriov_last_apply_result{result="failed"} 1
kvmfleet_sriov_last_apply_result{result="refused"} 0
kvmfleet_sriov_last_apply_result{result="bad_input"} 0
"""


def test_all_there_is() -> None:
    assert render(ALL) == TEXT


# facts; lines without comments
SMALL: list[tuple[Facts, list[str]]] = [
    (Facts(), []),
    (Facts(valid=False), ["kvmfleet_sriov_document_valid 0"]),
    (
        Facts((STUCK,)),
        [
            'kvmfleet_sriov_pf_info{pf="0000:05:00.0",netdev="eth1",driver="",interface=""} 1',
            'kvmfleet_sriov_pf_blocked{pf="0000:05:00.0"} 1',
        ],
    ),
]


@pytest.mark.parametrize(("facts", "lines"), SMALL)
def test_what_is_not_known_is_left_out(facts: Facts, lines: list[str]) -> None:
    assert [line for line in render(facts).splitlines() if not line.startswith("#")] == lines


@pytest.mark.parametrize(
    ("netdev", "label"),
    [('a"b', r"a\"b"), ("a\\b", r"a\\b"), ("a\nb", r"a\nb"), ("é", "é"), ("{,}", "{,}"), ("a\udcff", "a?")],
)
def test_labels_are_escaped(netdev: str, label: str) -> None:
    assert f',netdev="{label}",' in render(Facts((PfFacts("x", netdev),)))


def test_the_format_holds() -> None:
    """A parser written apart finds every sample, and no other."""
    metrics = exposition.parse(render(ALL))
    assert sum(map(len, metrics.values())) == sum(not line.startswith("#") for line in TEXT.splitlines())
    assert metrics["kvmfleet_sriov_vfs_held"] == {(("pf", "0000:03:00.0"),): 1, (("pf", "0000:04:00.0"),): 1}
    assert metrics["kvmfleet_sriov_last_apply_duration_seconds"] == {(): 0.5}


@given(netdev=st.text(), driver=st.text(), seconds=st.floats(0, 1e9))
def test_whatever_the_kernel_calls_things(netdev: str, driver: str, seconds: float) -> None:
    facts = Facts((PfFacts("x", netdev, driver),), last=LastApply(1.0, seconds, "done"))
    metrics = exposition.parse(render(facts))
    ((labels, _one),) = metrics["kvmfleet_sriov_pf_info"].items()
    assert (dict(labels)["netdev"], dict(labels)["driver"]) == (netdev, driver)
    assert metrics["kvmfleet_sriov_last_apply_duration_seconds"] == {(): seconds}


# text that is not in the format
BAD = [
    "# HELP a A.\n# TYPE a gauge\na 1",
    "# TYPE a gauge\na 1\n",
    "# HELP a A.\na 1\n",
    "# HELP a A.\n# TYPE a gauge\n",
    "# HELP a A.\n# TYPE a counter\na 1\n",
    "# HELP a A.\n# TYPE a gauge\nb 1\n",
    "# HELP a A.\n# TYPE a gauge\na 1\na 1\n",
    '# HELP a A.\n# TYPE a gauge\na{b="\\x"} 1\n',
    '# HELP a A.\n# TYPE a gauge\na{b="1",b="2"} 1\n',
    "# HELP a A.\n# TYPE a gauge\na one\n",
    '# HELP a A.\n# TYPE a gauge\na 1\n# HELP a A.\n# TYPE a gauge\na{b="1"} 1\n',
]


@pytest.mark.parametrize("text", BAD)
def test_the_parser_is_strict(text: str) -> None:
    with pytest.raises(AssertionError):
        exposition.parse(text)


@pytest.mark.parametrize(("seconds", "text"), [(0.0, "0"), (12.0, "12"), (0.000001, "1e-06"), (1234.5, "1234.5")])
def test_numbers(seconds: float, text: str) -> None:
    shown = render(Facts(last=LastApply(1.0, seconds, "done")))
    assert f"kvmfleet_sriov_last_apply_duration_seconds {text}\n" in shown
