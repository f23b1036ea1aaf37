# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline's picture: bars and labels."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import timeline

SPACE = timeline.WIDTH - timeline.LEFT - timeline.RIGHT


def host(**vm: object) -> dict[str, Any]:
    """A host that saves for 5 s of 50, with one VM."""
    phases = [{"name": "saving", "start": 100.0, "end": 105.0}, {"name": "filling", "start": 140.0, "end": 150.0}]
    usual = {"name": "web1", "paused_at": 101.0, "resumed_at": 141.0, "outage_s": 40.0, "is_over": True}
    return {"name": "h1", "phases": phases, "vms": [{**usual, **vm}]}


def drawn(svg: str, kind: str) -> list[ElementTree.Element]:
    return ElementTree.fromstring(svg).findall(kind)


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in drawn(svg, "text")]


def test_bars_are_to_scale() -> None:
    bars = [(float(bar.attrib["x"]), float(bar.attrib["width"])) for bar in drawn(timeline.of_host(host()), "rect")]
    expected = [
        (timeline.LEFT + start / 50 * SPACE, seconds / 50 * SPACE) for start, seconds in ((0, 5), (40, 10), (1, 40))
    ]
    assert [one for bar in bars for one in bar] == pytest.approx([one for bar in expected for one in bar], abs=0.06)


def test_a_vms_bar_is_marked_and_labelled() -> None:
    svg = timeline.of_host(host())
    assert ["--vm" in bar.attrib["style"] for bar in drawn(svg, "rect")] == [False, False, True]
    assert {"VM web1", "outage 40.00 s", "save VMs", "5.00 s"} <= set(texts(svg))
    assert "outage 40.00 s" not in texts(timeline.of_host(host(outage_s=None)))


@pytest.mark.parametrize("missing", ["paused_at", "resumed_at"])
def test_a_vm_that_never_returned_is_not_drawn(missing: str) -> None:
    svg = timeline.of_host(host(**{missing: None}))
    assert len(drawn(svg, "rect")) == 2
    assert "VM web1" not in texts(svg)


def test_batches_share_an_axis() -> None:
    svg = timeline.of_batches({"hosts": [host()], "batches": [["h1"]]})
    assert "batch 1, 50.0 s" in texts(svg)
    assert [float(bar.attrib["width"]) for bar in drawn(svg, "rect")] == pytest.approx([SPACE], abs=0.06)
