# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registry of converters.

Each is a file ``from_NAME.py`` beside this one, with a function of that name, which becomes a filter, and a
`CONVERTER`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.values import printable_lines, shown

from .conversion import Converter


def _load(file: str) -> Converter:
    converter: Converter = import_module(f"{__package__}.{file}").CONVERTER
    return replace(converter, convert=_printable(converter.convert))


def _printable(convert: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """``convert``, whose errors have names of others' files without control characters."""

    @wraps(convert)
    def converted(*values: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - as the converter takes them
        try:
            return convert(*values, **options)
        except BadInputError as error:
            raise BadInputError(*map(printable_lines, error.mistakes)) from error

    return converted


FILES = sorted(path.stem for path in Path(__file__).parent.glob("from_*.py"))
CONVERTERS: Mapping[str, Converter] = dict(sorted((one.source, one) for one in map(_load, FILES)))
"""Converters by source."""


def convert(
    documents: Sequence[object], source: str, *, pfs: object = None, labels: object = None, host: object = None
) -> dict[str, Any]:
    """Convert all YAML ``documents`` of a text.

    Returns ``document`` and ``notices``. ``pfs``, ``labels`` and ``host`` go to converters that take them. Raises
    `BadInputError` for an unknown source, for several documents where one is meant, and as the converter does.
    """
    one = named(source)
    if one.of_host:
        return one.convert(pfs)
    if not one.documents and len(documents) > 1:
        raise BadInputError(f"{source}: {len(documents)} YAML documents; give one")
    taken = inspect.signature(one.convert).parameters
    options = {key: value for key, value in (("pfs", pfs), ("labels", labels), ("host", host)) if key in taken}
    return one.convert(list(documents) if one.documents else next(iter(documents), None), **options)


def named(source: object) -> Converter:
    """Converter for ``source``.

    Raises `BadInputError` naming the known ones.
    """
    if source not in CONVERTERS:
        raise BadInputError(f"{shown(source)} is not one of {', '.join(CONVERTERS)}")
    return CONVERTERS[str(source)]
