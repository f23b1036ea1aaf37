# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts about many VFs in few lines, by ranges of ids."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

MOST = 8
"""Different texts that are all given."""

_ADDRESS = re.compile(r"(?:[0-9a-f]{2}:){5}(?:[0-9a-f]{2}:){0,2}[0-9a-f]{2}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_LOW_OCTETS = 3
"""Octets of an address that an id is added to."""

_Words = tuple[str, ...]


def by_range(texts: Mapping[int, str]) -> list[tuple[frozenset[int], str]]:
    """Sets of VF ids, each with its text, by their first ids.

    Texts that differ only by the id added to a base are one, written ``BASE+id``. Up to `MOST` texts are all given; of
    more, the words that differ are counted, with the first and the last of them.
    """
    words = {vf_id: tuple(text.split(" ")) for vf_id, text in sorted(texts.items())}
    if not words:
        return []
    for group in (_alike, _by_addresses, _by_bases):
        groups = group(words)
        if len(groups) <= MOST:
            return [(ids, _common({i: words[i] for i in ids})) for ids in groups]
    return [(frozenset(words), _common(words))]


def _alike(words: Mapping[int, _Words]) -> list[frozenset[int]]:
    """All ids where one text says it, else groups of equal texts."""
    whole = len(set(map(len, words.values()))) <= 1 and all(_one_text(column) is not None for column in _columns(words))
    return [frozenset(words)] if whole else _grouped(words)


def _by_addresses(words: Mapping[int, _Words]) -> list[frozenset[int]]:
    """Ids whose addresses have one base, other words being equal."""
    return _grouped({i: tuple(_base(word, i) if ":" in word else word for word in of) for i, of in words.items()})


def _by_bases(words: Mapping[int, _Words]) -> list[frozenset[int]]:
    """Ids whose addresses and numbers have one base."""
    return _grouped({i: tuple(_base(word, i) for word in of) for i, of in words.items()})


def _grouped(words: Mapping[int, _Words]) -> list[frozenset[int]]:
    groups: dict[_Words, set[int]] = {}
    for vf_id, of in words.items():
        groups.setdefault(of, set()).add(vf_id)
    return [frozenset(ids) for ids in groups.values()]


def _columns(words: Mapping[int, _Words]) -> Iterator[dict[int, str]]:
    """The words at each place, by id."""
    for place in range(min(map(len, words.values()), default=0)):
        yield {vf_id: of[place] for vf_id, of in words.items()}


def _one_text(column: Mapping[int, str]) -> str | None:
    """The word that all ids have, perhaps plus their id."""
    values = set(column.values())
    if len(values) == 1:
        return next(iter(values))
    bases = {_base(word, vf_id) for vf_id, word in column.items()}
    base = bases.pop()
    return base if not bases and base.endswith("+id") else None


def _common(words: Mapping[int, _Words]) -> str:
    """One text for all: common words, sequences, and counts of what differs."""
    if len(set(map(len, words.values()))) > 1:
        return _counted([" ".join(of) for of in words.values()])
    shown = ((_one_text(column), column) for column in _columns(words))
    return " ".join(_counted(list(column.values())) if word is None else word for word, column in shown)


def _counted(values: Sequence[str]) -> str:
    return f"({len(set(values))} values, first {values[0]}, last {values[-1]})"


def _base(word: str, vf_id: int) -> str:
    """``word`` as a base to which the id is added, if possible."""
    if _NUMBER.fullmatch(word) and int(word) >= vf_id:
        return f"{int(word) - vf_id}+id"
    if not _ADDRESS.fullmatch(word):
        return word
    octets = bytes.fromhex(word.replace(":", ""))
    low = int.from_bytes(octets[-_LOW_OCTETS:], "big") - vf_id
    if low < 0:
        return word
    return ":".join(f"{octet:02x}" for octet in octets[:-_LOW_OCTETS] + low.to_bytes(_LOW_OCTETS, "big")) + "+id"
