# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other programs that are configured to write sriov_numvfs.

Writing the same number again *adds every missing VF* amid the resume.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .._model.errors import KernelError
from .._system.sysfs import Sysfs

UNIT_FOLDERS = ("/etc/systemd/system", "/usr/local/lib/systemd/system")
NETWORK_FOLDERS = ("/etc/systemd/network", "/run/systemd/network", "/usr/local/lib/systemd/network")
NM = ("/etc/NetworkManager/system-connections", "/run/NetworkManager/system-connections")
PLAIN = r"sriov_numvfs"
PLACES: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    ("systemd-udevd (.link)", NETWORK_FOLDERS, "*.link", r"^\s*SR-IOVVirtualFunctions\s*=|^\s*\[SR-IOV\]"),
    ("systemd-networkd", NETWORK_FOLDERS, "*.network", r"^\s*\[SR-IOV\]"),
    ("a udev rule", ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d"), "*.rules", PLAIN),
    ("NetworkManager", NM, "*", r"^\s*total-vfs\s*=\s*[1-9]"),
    ("netplan", ("/etc/netplan",), "*.yaml", r"^\s*virtual-function-count\s*:"),
    ("sriov-network-operator", ("/etc/sriov-operator",), "*", r""),
    ("sriov-network-operator", UNIT_FOLDERS, "sriov-config*.service", r""),
    ("a systemd unit", UNIT_FOLDERS, "*.service", PLAIN),
    ("systemd-tmpfiles", ("/etc/tmpfiles.d",), "*.conf", PLAIN),
    ("sysfsutils", ("/etc/sysfs.d",), "*.conf", PLAIN),
    ("a boot script", ("/etc", "/etc/network"), "rc.local", PLAIN),
    ("ifupdown", ("/etc/network", "/etc/network/interfaces.d"), "interfaces", PLAIN),
    ("ifupdown", ("/etc/network/interfaces.d",), "*", PLAIN),
    ("a module option", ("/etc/modprobe.d",), "*.conf", r"^\s*options\s+.*\b(max_vfs|num_vfs|num_of_vfs)=[1-9]"),
)
"""(program, folders, file names, pattern of a line that makes a writer).

Sources: systemd.link(5), systemd.network(5), nm-settings(5), netplan(5), and plain writes wherever boot scripts keep
them.
"""


@dataclass(frozen=True)
class Writer:
    """A configured writer of sriov_numvfs.

    ``kind`` names the program, ``path`` the file with its setting.
    """

    kind: str
    path: str


def find(sysfs: Sysfs) -> Iterator[Writer]:
    """Find files with writers, each under the first program that fits.

    Drop-in folders of .link and .network files count too.
    """
    seen: set[str] = set()
    for kind, folders, names, pattern in PLACES:
        for folder in folders:
            for path in _files(sysfs, folder, names):
                if path not in seen and _writes(sysfs, path, pattern):
                    seen.add(path)
                    yield Writer(kind, path)


def _files(sysfs: Sysfs, folder: str, names: str) -> Iterator[str]:
    for name in _names(sysfs, folder):
        if fnmatch.fnmatch(name, names):
            yield f"{folder}/{name}"
        elif fnmatch.fnmatch(name, f"{names}.d"):
            yield from (f"{folder}/{name}/{item}" for item in _names(sysfs, f"{folder}/{name}"))


def _names(sysfs: Sysfs, folder: str) -> list[str]:
    try:
        return sysfs.names(folder)
    except KernelError:
        return []


def _writes(sysfs: Sysfs, path: str, pattern: str) -> bool:
    """Whether a file, comments left out, has the pattern.

    An empty pattern fits any text. A file that cannot be read as text (a folder, a dangling link) has none; masked
    units link to /dev/null.
    """
    try:
        text = sysfs.read(path)
    except KernelError:
        return False
    lines = [line for line in text.splitlines() if not line.lstrip().startswith(("#", ";"))]
    return any(re.search(pattern, line) for line in lines) if pattern else True
