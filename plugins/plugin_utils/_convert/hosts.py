# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations of several hosts in one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError

from .conversion import listing, mapping


class Part(NamedTuple):
    """A configuration at ``where``, of the host ``host``.

    The host is None for a configuration that is for any.
    """

    where: str
    data: Mapping[str, Any]
    host: str | None = None
    what: str = ""
    """Name of the object that it is from, for messages."""


def objects(data: object, what: str = "object") -> Iterator[Mapping[str, Any]]:
    """All objects of a YAML text: documents, lists, and Kubernetes' lists.

    Empty documents are left out. ``what`` names one in errors. Raises `BadInputError` for what is no mapping.
    """
    for item in data if isinstance(data, (list, tuple)) else [data]:
        if isinstance(item, (list, tuple)):
            yield from objects(item, what)
            continue
        entry = mapping(item, what)
        if "items" in entry:
            yield from objects(listing(entry["items"], "items"), what)
        elif entry:
            yield entry


def is_for(selector: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    """Whether a ``nodeSelector`` chooses a node with ``labels``, which are texts."""
    return all(key in labels and _label(labels[key]) == _label(value) for key, value in selector.items())


def _label(value: object) -> str:
    """A label as text, however YAML reads it."""
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def of_host(parts: Sequence[Part], host: object) -> list[Part]:
    """Parts of ``host``, and those for any host.

    With parts of one host alone, these, whatever it is called. Raises `BadInputError` that lists the hosts where it
    needs to be known which one is meant.
    """
    names = list(dict.fromkeys(part.host for part in parts if part.host is not None))
    if len(names) < 2:
        return list(parts)
    mine = _alike(names, host)
    if mine is None:
        given = f"'{host}' is none of them" if host else "which one is meant is not known"
        listed = ", ".join(map(str, names))
        raise BadInputError(f"this is of {len(names)} hosts, {listed}, and {given}; give its name with host")
    return [part for part in parts if part.host in (None, mine)]


def _alike(names: Sequence[str], host: object) -> str | None:
    """The name of ``host`` among ``names``, with or without its domain."""
    text = str(host or "")
    exact = [name for name in names if name == text]
    short = [name for name in names if text and name.partition(".")[0] == text.partition(".")[0]]
    return next(iter(exact), None) or (short[0] if len(short) == 1 else None)
