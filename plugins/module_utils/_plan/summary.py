# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps of many VFs in few entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from .._model import vf_ids
from .spread import by_range

_ARROW = " \x00 "


def in_few(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The steps ``rows``, neighbours of one kind together.

    ``rows`` are what `Step.to_dict` gives, perhaps with ``seconds``, which are added up. Texts that differ from VF to
    VF are as in `spread.by_range`.
    """
    return [
        row for _key, group in groupby(rows, lambda row: (row["pf"], row["step"]))
        for layer in _layers(group) for row in _few(layer)
    ]  # fmt: skip


def _layers(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[tuple[frozenset[int], Mapping[str, Any]]]]:
    """Rows with their ids, cut where an id comes again."""
    layer: list[tuple[frozenset[int], Mapping[str, Any]]] = []
    seen: set[int] = set()
    for row in rows:
        ids = vf_ids.parse(row.get("vfs") or "none", vf_ids.MAX_VFS)
        if layer and (not ids or not seen.isdisjoint(ids)):
            yield layer
            layer, seen = [], set()
        layer.append((ids, row))
        seen |= ids
    yield layer


def _few(layer: list[tuple[frozenset[int], Mapping[str, Any]]]) -> Iterator[dict[str, Any]]:
    first = dict(layer[0][1])
    if len(layer) == 1:
        yield first
        return
    texts = {i: f"{row['before']}{_ARROW}{row['after']}" for ids, row in layer for i in ids}
    seconds = {i: row["seconds"] / len(ids) for ids, row in layer if "seconds" in row for i in ids}
    for ids, text in by_range(texts):
        before, after = _sides(text)
        total = {"seconds": round(sum(seconds[i] for i in ids), 6)} if seconds else {}
        yield {**first, "vfs": vf_ids.compress(ids), "before": before, "after": after, **total}


def _sides(text: str) -> tuple[str, str]:
    """Both sides of a text, which may be counted as a whole."""
    before, arrow, after = text.partition(_ARROW)
    if arrow and _ARROW not in after:
        return before, after
    return "(values of their own)", text.replace(_ARROW, " -> ")
