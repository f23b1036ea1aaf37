# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PFs named by interface or selector.

Imported late, and imports late: documents name most by address.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from .._document.resolve import resolve
from .._model.errors import BadInputError, SriovError
from .._model.state import FACTS, PfState
from .._readers.pfs import read_known
from .._system.blocked import refuse_these

if TYPE_CHECKING:
    from .._document.document import HostDocument
    from .._document.selector import PfName
    from .._system.process import Run
    from .._system.sysfs import Sysfs


def altnames(run: Run, names: Iterable[PfName], states: Mapping[str, PfState]) -> dict[str, str]:
    """Interface names behind the alternative names of PFs among ``names``."""
    from .._document import lookup

    found: dict[str, str] = {}
    for name in names:
        if isinstance(name, str) and ":" not in name:
            try:
                lookup.find(name, states, {})
            except BadInputError:
                from .._tools.ip import netdev_of

                found[name] = name
                with suppress(SriovError):
                    found[name] = netdev_of(run, name)
    return found


def resolved(sysfs: Sysfs, run: Run, document: HostDocument, states: Mapping[str, PfState]) -> HostDocument:
    """Resolve the document with alternative names; refuse blocked PFs.

    Where selectors fail, again with all facts, so that the error shows them.
    """
    from .._document import lookup

    names = [spec.pf for spec in document.pfs]
    known = altnames(run, names, states)
    try:
        chosen = [pf for name in names for pf in lookup.find(name, states, known)]
        refuse_these({pf.address: pf.blocked for pf in chosen if pf.blocked is not None})
        for text in [pf.unreadable for pf in chosen if pf.unreadable is not None]:
            raise SriovError(text)
        return resolve(document, states, known)
    except BadInputError:
        selected = any(not isinstance(name, str) for name in names)
        try:
            resolve(document, read_known(sysfs, FACTS) if selected else states, known)
        except BadInputError as error:
            from . import absent_pf

            raise absent_pf.with_reasons(sysfs, names, states, known, error) from error
        raise
