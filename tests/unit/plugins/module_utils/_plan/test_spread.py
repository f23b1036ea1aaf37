# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts, steps and clauses about many VFs, in few lines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import vf_ids
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan.clauses import joined
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan.spread import MOST, by_range
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan.summary import in_few


def mac(number: int) -> str:
    return f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"


def spread(texts: dict[int, str]) -> dict[str, str]:
    return {vf_ids.compress(ids): text for ids, text in by_range(texts)}


# texts by id, what is shown
SPREAD: list[tuple[dict[int, str], dict[str, str]]] = [
    ({}, {}),
    ({3: "vlan 5"}, {"3": "vlan 5"}),
    (dict.fromkeys(range(250), "vlan 5"), {"0-249": "vlan 5"}),
    ({i: f"mac {mac(i)} vlan {100 + i}" for i in range(250)}, {"0-249": f"mac {mac(0)}+id vlan 100+id"}),
    ({i: f"mac {mac(i)}" for i in (4, 9)}, {"4,9": f"mac {mac(0)}+id"}),
    ({i: f"vlan {5 + i % 2}" for i in range(6)}, {"0,2,4": "vlan 5", "1,3,5": "vlan 6"}),
    ({i: "vlan 5" if i else "unset" for i in range(9)}, {"0": "unset", "1-8": "vlan 5"}),
    ({i: mac(7 * i) for i in range(8)}, {str(i): mac(7 * i) for i in range(8)}),
    (
        {i: f"mac {mac(7 * i)} vlan 5" for i in range(9)},
        {"0-8": f"mac (9 values, first {mac(0)}, last {mac(56)}) vlan 5"},
    ),
    (
        {i: f"mac {mac(i + 3000 * (i > 99))} vlan 3" for i in range(250)},
        {"0-99": f"mac {mac(0)}+id vlan 3", "100-249": f"mac {mac(3000)}+id vlan 3"},
    ),
    ({i: "x " * i + "y" for i in range(9)}, {"0-8": f"(9 values, first y, last {'x ' * 8}y)"}),
    ({i: f"02:00:00:00:00:00:10:{i:02x}" for i in range(9)}, {"0-8": "02:00:00:00:00:00:10:00+id"}),
]  # fmt: skip


@pytest.mark.parametrize(("texts", "shown"), SPREAD, ids=range(len(SPREAD)))
def test_by_range(texts: dict[int, str], shown: dict[str, str]) -> None:
    assert spread(texts) == shown


WORDS = st.sampled_from(["unset", "vlan 5", "vlan 6", "mac 02:00:00:00:00:05", "trust on", "5", "02:00:00:00:00:09"])


@given(st.dictionaries(st.integers(0, 300), WORDS))
def test_each_id_is_in_one_line_and_few_values_are_given(texts: dict[int, str]) -> None:
    found = by_range(texts)
    assert sorted(i for ids, _text in found for i in ids) == sorted(texts)
    assert len(found) <= max(MOST, 1)
    for ids, text in found:
        for i in ids:
            assert _meant(text, i) == texts[i]


def _meant(text: str, vf_id: int) -> str:
    """The text of one VF that a line says."""
    return " ".join(_word(word, vf_id) for word in text.split(" "))


def _word(word: str, vf_id: int) -> str:
    base, plus, _id = word.partition("+id")
    if not plus:
        return word
    if ":" not in base:
        return str(int(base) + vf_id)
    low = int(base[9:].replace(":", ""), 16) + vf_id
    return base[:9] + ":".join(f"{one:02x}" for one in low.to_bytes(3, "big"))


def row(step: str, vfs: str, before: str, after: str, **more: float) -> dict[str, Any]:
    return {"pf": "P", "step": step, **({"vfs": vfs} if vfs else {}), "before": before, "after": after, **more}


def test_steps_of_one_kind_are_one_entry() -> None:
    rows = [
        row("enable", "", "0", "3"),
        *(row("properties", str(i), "mac unset", f"mac {mac(i)}", seconds=0.5) for i in range(3)),
        row("add", "0-1", "absent", "present"), row("add", "2", "absent", "present"),
        row("bind", "0", "none", "igbvf"), row("bind", "1", "none", "vfio-pci"),
    ]  # fmt: skip
    assert in_few(rows) == [
        rows[0],
        row("properties", "0-2", "mac unset", f"mac {mac(0)}+id", seconds=1.5),
        row("add", "0-2", "absent", "present"),
        *rows[-2:],
    ]


def test_an_id_that_comes_again_is_another_entry() -> None:
    rows = [row("properties", "0", "a 1", "a 2"), row("properties", "0", "b 1", "b 2")]
    assert in_few(rows) == rows


def test_sides_that_cannot_be_told_apart_are_shown_whole() -> None:
    rows = [row("properties", str(i), "x " * i, "y") for i in range(9)]
    (one,) = in_few(rows)
    assert (one["vfs"], one["before"]) == ("0-8", "(values of their own)")
    assert one["after"].startswith("(9 values, first  -> y, last")


# clauses, the sentence
SENTENCES: list[tuple[list[str], str]] = [
    ([], ""),
    (["a", "a", "VF"], "a; a; VF"),
    ([f"VF {i} of PF P by process 7 (qemu)" for i in range(250)], "VFs 0-249 of PF P by process 7 (qemu)"),
    ([f"VF 1 of PF {pf} by p" for pf in "PQ"], "VF 1 of PF P by p; VF 1 of PF Q by p"),
    (
        [f"VF {i} of PF P by libvirt domain vm{i}" for i in range(250)],
        "VFs 0-249 of PF P by libvirt domain (250 values, first vm0, last vm249)",
    ),
    (
        [*(f"driver of VF {i}: wanted igbvf, found none" for i in range(9)), "hardware_vfs: wanted 3, found 4"],
        "driver of VFs 0-8: wanted igbvf, found none; hardware_vfs: wanted 3, found 4",
    ),
    (["x of VF 3: a", "x of VF 3: b"], "x of VF 3: a; x of VF 3: b"),
]


@pytest.mark.parametrize(("clauses", "sentence"), SENTENCES, ids=range(len(SENTENCES)))
def test_joined(clauses: list[str], sentence: str) -> None:
    assert joined(clauses) == sentence
