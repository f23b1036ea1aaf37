# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions of steps and of their undo, as values: `_engine.execute` carries them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Union

from .properties import VfProperties


@dataclass(frozen=True)
class Write:
    """One write(2). With ``device``, a VF's link, the value is the address it points to when the write happens.

    VFs are reached through the link of their PF, because addresses of VFs that are not enabled yet may still change.
    ``missing_ok``: the file need not exist (the driver folder of a VF that is not bound). ``vfs``: how many VFs appear
    or go, driver included, by this write; ``waits``: the kernel may wait for a user of one of them.
    """

    path: str
    value: str = ""
    device: str | None = None
    missing_ok: bool = False
    vfs: int = 1
    waits: bool = False


@dataclass(frozen=True)
class Command:
    """One program run; it may have done half when it fails, so its own undo runs too.

    ``parts``: where it sets several properties of a VF, what each attribute gives and the command for it alone.
    """

    argv: tuple[str, ...]
    vf: tuple[str, int] = ("", 0)
    parts: tuple[tuple[VfProperties, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class SetMtu:
    """The MTU of the device at ``folder``: of its own network interface, which may take a moment to appear."""

    folder: str
    mtu: int


@dataclass(frozen=True)
class SetEswitch:
    """The mode of a PF's eswitch, where it is another one; a driver that fails stays in the mode it was in.

    Its undo runs too when it fails: a program that is ended after its deadline may have been obeyed.
    """

    pf: str
    mode: str


@dataclass(frozen=True)
class ReadBack:
    """Properties read from the PF's driver must be the wanted ones before any of these VFs is added or bound."""

    pf: str
    netdev: str
    wanted: Mapping[int, VfProperties]


Action = Union[Write, Command, SetMtu, SetEswitch, ReadBack]
