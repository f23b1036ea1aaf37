# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forms of a QEMU's state in a file.

A stream is written by a stopped guest. With `mapped-ram` each page has a place in the file (docs/devel/migration of
QEMU): a page that was written to since is written there again, so the file is bounded while the guest runs, and threads
(`multifd`) write it side by side, past the page cache where the file system takes O_DIRECT.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..._model.errors import BadInputError, SriovError
from .qmp import Qmp

MAPPED, MULTIFD = "mapped-ram", "multifd"
CHANNELS, DIRECT = "multifd-channels", "direct-io"
MOST_CHANNELS = 255
"""Largest `multifd-channels` (uint8 in qapi/migration.json)."""


@dataclass(frozen=True)
class StateForm:
    """A form.

    ``capabilities``: on, all others off; ``channels`` of multifd; ``direct``: past the page cache.
    """

    capabilities: tuple[str, ...] = ()
    channels: int = 0
    direct: bool = False

    @property
    def live(self) -> bool:
        """Whether the guest may run while it is written."""
        return MAPPED in self.capabilities

    def parameters(self) -> dict[str, Any]:
        """Migration parameters of this form alone."""
        channels = {CHANNELS: self.channels} if self.channels else {}
        return {DIRECT: self.direct, **channels}

    def require(self, qmp: Qmp) -> None:
        """Require a QEMU that has it.

        Raises `SriovError` naming what is not there.
        """
        lacks = sorted(set(self.capabilities) - set(capabilities(qmp)))
        if lacks:
            version = ".".join(map(str, qmp.version))
            raise SriovError(
                f"the state was saved with {self}, and QEMU {version} lacks {', '.join(lacks)}: install the QEMU that "
                "saved it again"
            )

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "capabilities": list(self.capabilities)}

    @classmethod
    def parse(cls, data: Mapping[str, Any], where: str) -> StateForm:
        """Parse the form in a claim, empty for a stream.

        Raises `BadInputError` with the path of what is wrong.
        """
        on, channels, direct = data.get("capabilities", []), data.get("channels", 0), data.get("direct", False)
        if set(data) - {"capabilities", "channels", "direct"} or not isinstance(on, (list, tuple)):
            raise BadInputError(f"{where}: {str(data)[:100]} is no form of a state")
        if not all(name in (MAPPED, MULTIFD) for name in on):
            raise BadInputError(f"{where}.capabilities: {str(on)[:100]} are not {MAPPED} and {MULTIFD}")
        if not isinstance(direct, bool) or isinstance(channels, bool) or not isinstance(channels, int):
            raise BadInputError(f"{where}: {str(data)[:100]} is no form of a state")
        if not 0 <= channels <= MOST_CHANNELS:
            raise BadInputError(f"{where}.channels: {channels} is not 0 to {MOST_CHANNELS}")
        return cls(tuple(on), channels, direct)

    def __str__(self) -> str:
        words = [*self.capabilities, *(["direct I/O"] if self.direct else [])]
        return ", ".join(words) or "a stream"


STREAM = StateForm()


def best(qmp: Qmp, folder: str) -> StateForm:
    """The best form that this QEMU says it has.

    ``folder``: of the state, as this machine sees it.
    """
    have = capabilities(qmp)
    if MAPPED not in have:
        return STREAM
    parameters = qmp.execute("query-migrate-parameters")
    if MULTIFD not in have or CHANNELS not in parameters:
        return StateForm((MAPPED,))
    return StateForm((MAPPED, MULTIFD), channels(), DIRECT in parameters and takes_direct_io(folder))


def capabilities(qmp: Qmp) -> dict[str, bool]:
    """Capabilities that a QEMU has, and whether they are on."""
    return {str(one["capability"]): bool(one["state"]) for one in qmp.execute("query-migrate-capabilities")}


def channels() -> int:
    """Threads of one VM: half of the CPUs, from 1 to 8.

    Other VMs are saved at the same time.
    """
    return max(1, min(8, (os.cpu_count() or 2) // 2))


def takes_direct_io(folder: str) -> bool:
    """Whether the file system of a folder takes O_DIRECT (open(2)).

    Tried with a file there that has no name.
    """
    with contextlib.suppress(OSError):
        os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_DIRECT, 0o600))
        return True
    return False
