# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions of steps and of their undo, as values.

`_engine.execute` carries them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Union

from .properties import VfProperties


@dataclass(frozen=True)
class Write:
    """One write(2) to a file of the kernel.

    With ``device``, a VF's link, the value is the address that the link points to when the write happens. VFs are
    reached through the link of their PF, because addresses of VFs that are not enabled yet may still change.
    ``missing_ok``: the file need not exist (the driver folder of a VF that is not bound). ``vfs``: how many VFs appear
    or go, driver included, by this write; ``waits``: the kernel may wait for the holder of one of them; ``probes``:
    for a driver.
    """

    path: str
    value: str = ""
    device: str | None = None
    missing_ok: bool = False
    vfs: int = 1
    waits: bool = False
    probes: bool = False


@dataclass(frozen=True)
class Command:
    """One run of a program, whose undo runs after a failure too.

    It may have done half when it fails. ``parts``: where it sets several properties of a VF, the properties of each
    netlink attribute and the command for it alone.
    """

    argv: tuple[str, ...]
    vf: tuple[str, int] = ("", 0)
    parts: tuple[tuple[VfProperties, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class SetMtu:
    """Set the MTU of the network interface of device ``folder``.

    The interface may take a moment to appear.
    """

    folder: str
    mtu: int


@dataclass(frozen=True)
class SetName:
    """Name the network interface of device ``folder``.

    The interface may take a moment to appear. The undo runs after a failure too, as that of other programs.
    """

    folder: str
    name: str


@dataclass(frozen=True)
class SetLink:
    """Set the network interface of device ``folder`` up or down.

    ``carrier``: wait for its link as well, for a while; without a cable there is none. The undo runs after a failure
    too, as that of other programs.
    """

    folder: str
    link: str
    carrier: bool = False


@dataclass(frozen=True)
class SetEswitch:
    """Set the mode of a PF's eswitch, where it differs.

    A driver that fails stays in the previous mode. The undo runs after a failure too: a program that was killed after
    its deadline may have changed the mode.
    """

    pf: str
    mode: str


@dataclass(frozen=True)
class ReadBack:
    """Check that the PF's driver reports the ``wanted`` properties of VFs.

    It comes before any of these VFs is added or bound.
    """

    pf: str
    netdev: str
    wanted: Mapping[int, VfProperties]


Action = Union[Write, Command, SetMtu, SetName, SetLink, SetEswitch, ReadBack]
