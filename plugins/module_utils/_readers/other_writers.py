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
from .._model.paths import PROGRAM
from .._system.sysfs import Sysfs

UNIT_FOLDERS = (
    "/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
)  # fmt: skip
NETWORK_FOLDERS = (
    "/etc/systemd/network", "/run/systemd/network", "/usr/local/lib/systemd/network", "/usr/lib/systemd/network",
)  # fmt: skip
NM = tuple(f"{one}/NetworkManager/system-connections" for one in ("/etc", "/run", "/usr/lib"))
SCRIPTS = (
    *(f"/etc/network/if-{when}.d" for when in ("pre-up", "up", "down", "post-down")), "/etc/init.d", "/etc/local.d",
    "/etc/NetworkManager/dispatcher.d", "/etc/NetworkManager/dispatcher.d/pre-up.d", "/etc/libvirt/hooks",
    *(f"/etc/networkd-dispatcher/{state}.d" for state in ("configured", "routable", "carrier", "degraded")),
    "/etc/libvirt/hooks/qemu.d", "/var/lib/cloud/scripts/per-boot", "/var/lib/vz/snippets",
    "/etc/sysconfig/network-scripts",
)  # fmt: skip
CRON = (
    "/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly",
    "/var/spool/cron", "/var/spool/cron/crontabs",
)  # fmt: skip
MODPROBE = tuple(f"{one}/modprobe.d" for one in ("/etc", "/run", "/usr/local/lib", "/usr/lib"))
PLAIN = r"sriov_numvfs"
_MAX_VFS = r"\b(?:max_vfs|num_vfs|num_of_vfs|num_vf|vf_num)=[0-9,]*[1-9]"
NETPLAN = "netplan"
PLACES: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    ("systemd-udevd (.link)", NETWORK_FOLDERS, "*.link", r"^\s*SR-IOVVirtualFunctions\s*=|^\s*\[SR-IOV\]"),
    ("systemd-networkd", NETWORK_FOLDERS, "*.network", r"^\s*\[SR-IOV\]"),
    ("a udev rule", ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d"), "*.rules", PLAIN),
    ("NetworkManager", NM, "*", r"^\s*total-vfs\s*=\s*[1-9]"),
    ("NetworkManager", ("/etc/sysconfig/network-scripts",), "ifcfg-*", r"^\s*SRIOV_TOTAL_VFS=\W*[1-9]"),
    (NETPLAN, ("/etc/netplan", "/run/netplan", "/usr/lib/netplan"), "*.yaml", r"\bvirtual-function-count\W*:"),
    ("nmstate", ("/etc/nmstate",), "*.y*ml", r"\btotal-vfs\W*:\W*[1-9]"),
    ("os-net-config", ("/etc/os-net-config", "/var/lib/os-net-config"), "*", r"\bnumvfs\W*:|\bsriov_pf\b"),
    ("sriov-network-operator", ("/etc/sriov-operator",), "*", r""),
    ("sriov-network-operator", UNIT_FOLDERS[:3], "sriov-config*.service", r""),
    ("a systemd unit", UNIT_FOLDERS, "*.service", PLAIN),
    ("systemd-tmpfiles", tuple(f"{one}/tmpfiles.d" for one in ("/etc", "/run", "/usr/lib")), "*.conf", PLAIN),
    ("sysfsutils", ("/etc/sysfs.d",), "*.conf", PLAIN),
    ("sysfsutils", ("/etc",), "sysfs.conf", PLAIN),
    ("tuned", ("/etc/tuned",), "*.conf", PLAIN),
    ("a boot script", ("/etc", "/etc/network", "/etc/rc.d"), "rc.local", PLAIN),
    ("ifupdown", ("/etc/network", "/etc/network/interfaces.d"), "interfaces", PLAIN),
    ("ifupdown", ("/etc/network/interfaces.d",), "*", PLAIN),
    ("cron", ("/etc",), "*crontab", PLAIN),
    ("cron", CRON, "*", PLAIN),
    ("cloud-init", ("/etc/cloud/cloud.cfg.d",), "*.cfg", PLAIN),
    ("a script", SCRIPTS, "*", PLAIN),
    ("a module option", MODPROBE, "*.conf", rf"^\s*options\s+.*{_MAX_VFS}"),
    ("the kernel's command line", ("/proc",), "cmdline", rf"\w+\.{_MAX_VFS[2:]}"),
)
"""(program, folders, file names, pattern of a line that makes a writer).

Sources: systemd.link(5), systemd.network(5), nm-settings(5), netplan(5), os-net-config's README, and plain writes
wherever boot scripts keep them.
"""

_SCRIPT_BYTES = 65536
_PATH = re.compile(r"(?<![\w.])/(?:etc|opt|root|srv|usr|var|home)/[\w./@+-]+")
_READS = re.compile(r"\b(?:cat|grep|head|test)\b")
_WRITES = re.compile(r">|\btee\b")
_SECTION = re.compile(r"^\s*(\w[\w-]*)\s*:")


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
    there = sysfs.listings({folder for _kind, folders, _names, _pattern in PLACES for folder in folders})
    for kind, folders, names, pattern in PLACES:
        for folder in folders:
            for path in _files(sysfs, folder, there[folder], names) if there[folder] else ():
                if path not in seen and _writes(sysfs, path, pattern):
                    seen.add(path)
                    yield Writer(kind, path)


def _files(sysfs: Sysfs, folder: str, there: list[str], names: str) -> Iterator[str]:
    for name in there:
        if fnmatch.fnmatch(name, names):
            yield f"{folder}/{name}"
        elif fnmatch.fnmatch(name, f"{names}.d"):
            inner = f"{folder}/{name}"
            yield from (f"{inner}/{item}" for item in sysfs.listings([inner])[inner])


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
    if not pattern or any(re.search(pattern, line) and not _only_reads(line) for line in lines):
        return True
    if pattern == PLAIN:
        return any(_is_writing_script(sysfs, one) for line in lines for one in _PATH.findall(line))
    return "/netplan/" in path and _has_vf_of_netplan(lines)


def _only_reads(line: str) -> bool:
    return bool(_READS.search(line)) and not _WRITES.search(line)


def _is_writing_script(sysfs: Sysfs, path: str) -> bool:
    """Whether a program that a line names is a script that writes."""
    if path == PROGRAM:
        return False
    try:
        text = sysfs.read_bytes(path, _SCRIPT_BYTES).decode(errors="replace")
    except KernelError:
        return False
    return text.startswith("#!") and any(
        re.search(PLAIN, line) and not _only_reads(line) and not line.lstrip().startswith("#")
        for line in text.splitlines()
    )


def _has_vf_of_netplan(lines: list[str]) -> bool:
    """Whether an Ethernet interface has a ``link``, so it is a VF.

    netplan enables as many VFs as are defined (netplan_cli/cli/sriov.py).
    """
    section = ""
    for line in lines:
        found = _SECTION.match(line)
        if found and found.group(1) in ("ethernets", "vlans", "bonds", "bridges", "tunnels", "vrfs", "wifis"):
            section = found.group(1)
        if section == "ethernets" and re.search(r"(?:^|[{,\s])link\s*:", line):
            return True
    return False
