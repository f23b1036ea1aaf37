# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PFs at which a write is in progress, perhaps for ever.

Nothing should queue up behind it. `sriov_numvfs` can then not even be read (drivers/pci/iov.c, sriov_numvfs_show takes
the PF's lock, as the writer did).
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterable, Mapping

from .._model.errors import KernelError, RefusedError
from .._model.paths import WRITES
from .sysfs import Sysfs


def under_way(sysfs: Sysfs) -> dict[str, str]:
    """Texts about this host's writes in progress, by address of the PF.

    The writes of `writer` processes.
    """
    found = {}
    for name in sysfs.names(WRITES):
        if _locked(sysfs, name):
            found[name] = _text(sysfs, name)
    return found


def refuse(sysfs: Sysfs, addresses: Iterable[str]) -> None:
    """Raise `RefusedError` for PFs at which a write is in progress.

    Called before any other access to them.
    """
    found = under_way(sysfs)
    if found:
        refuse_these({address: found[address] for address in addresses if address in found})


def refuse_these(found: Mapping[str, str]) -> None:
    """Raise `RefusedError` for PFs that `under_way` has reported, by address."""
    if found:
        texts = [f"PF {address}: {text}" for address, text in found.items()]
        raise RefusedError(
            f"{'; '.join(texts)}; what waits in the kernel goes on when the holder of the VF releases it"
        )


def _locked(sysfs: Sysfs, name: str) -> bool:
    """Whether the lock file is locked; False without the rights (root)."""
    try:
        return sysfs.locked(f"{WRITES}/{name}")
    except KernelError as error:
        if error.errno != errno.EACCES:
            raise
        return False


def _text(sysfs: Sysfs, name: str) -> str:
    """A text about the write in a lock file.

    `writer_child` writes the contents.
    """
    from .process import where  # late, as it is rarely needed

    try:
        pid, since, value, path = sysfs.read(f"{WRITES}/{name}").split(" ", 3)
    except (KernelError, ValueError):
        return "a write is under way"
    seconds = max(0.0, time.time() - float(since))
    return f"process {pid} ({where(int(pid))}) has been writing '{value}' to {path} for {seconds:.0f} s"
