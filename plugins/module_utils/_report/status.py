# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data of ``sriovctl status``: PFs, VFs, drift, the last apply, notes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .._document.document import HostDocument
from .._engine import last_apply, other_writes
from .._readers import identity
from .._system import process
from .._system.process import Run
from .._system.read_once import ReadOnce, once
from .._system.sysfs import Sysfs
from . import drift as _drift
from . import lacking
from .drift import Drift
from .info import gather

if TYPE_CHECKING:
    from .._document.selector import PfName


def read(
    sysfs: Sysfs, run: Run, names: Sequence[PfName] | None, declared: tuple[HostDocument | None, str | None], vfs: str
) -> dict[str, Any]:
    """Read the host; PFs are those of `info.gather`.

    Each has ``declared`` and ``drift_steps`` where there is a host document. The argument ``declared`` is that
    document, and the error in one that cannot be understood.
    """
    document, problem = declared
    files, ask = ReadOnce(sysfs), once(run)
    drift = Drift() if document is None else _drift.read(files, ask, document)
    pfs = gather(files, ask, names, properties=run is not process.refuse, vfs=vfs)
    if document is not None:
        pfs = [{**pf, **_distance(pf["pf"], drift)} for pf in pfs]
    last, lacks = last_apply.read(sysfs), lacking.texts(files, pfs) if pfs or names is None else []
    return {
        "pfs": pfs, "kernel": identity.kernel(files), "last_apply": last._asdict() if last else None, "lacks": lacks,
        "notes": [*_notes(drift, problem, pfs), *_of_unfinished(pfs), *_of_last_apply(last), *_of_rights(sysfs),
                  *_of_others(files, document, drift)],
    }  # fmt: skip


def _distance(address: str, drift: Drift) -> dict[str, Any]:
    return {"declared": address in drift.declared, "drift_steps": drift.steps(address)}


def _notes(drift: Drift, problem: str | None, pfs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Notes on drift; a source that cannot be read is named once."""
    for text in [problem] if problem else drift.problems:
        yield f"the host document does not fit: {text}"
    shown = [text for pf in pfs for text in pf.get("unread", ())]
    for address, text in drift.unread.items():
        if not any(one.endswith(text) for one in shown):
            yield f"PF {address}: drift is not known: {text}"


def _of_unfinished(pfs: Sequence[dict[str, Any]]) -> Iterator[str]:
    for pf in pfs:
        if pf.get("unfinished"):
            yield (
                f"PF {pf['pf']}: a run did not come to its end; what it had taken away for a moment comes back when "
                "anything is declared for the PF again"
            )


def _of_last_apply(last: last_apply.LastApply | None) -> Iterator[str]:
    if last and last.result != last_apply.DONE:
        yield f"the last apply ended with '{last.result}'"


def _of_others(sysfs: Sysfs, document: HostDocument | None, drift: Drift) -> Iterator[str]:
    """Other programs that change the number of VFs of declared PFs."""
    yield from other_writes.effects(sysfs, [one.current for one in drift.plans.values() if not one.current.unfinished])
    if document and any(spec.hardware_vfs is not None for spec in document.pfs):
        yield from other_writes.configured(sysfs)


def _of_rights(sysfs: Sysfs) -> Iterator[str]:
    if not sysfs.root and os.geteuid() != 0:
        yield "only root sees all users of VFs"
