# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places where programs of a host are configured to write sriov_numvfs.

Sources: the programs' manual pages and documentation, and plain writes wherever boot scripts keep them.
"""

from __future__ import annotations

SEARCHED = ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
"""Folders below which tools search for theirs.

/lib is often a link to /usr/lib.
"""


def _below(*folders: str) -> tuple[str, ...]:
    return tuple(f"{one}/{folder}" for folder in folders for one in SEARCHED)


_UNITS = (
    *_below("systemd/system"), "/etc/systemd/system.control", "/etc/systemd/system.attached",
    *(f"/run/systemd/{one}" for one in (
        "system.control", "system.attached", "transient", "generator.early", "generator", "generator.late")),
    *_below("systemd/user"),
)  # fmt: skip
_ENABLED = tuple(f"{one}/*.{kind}" for one in _UNITS for kind in ("wants", "requires", "upholds"))
_FOR_ALL_SERVICES = tuple(f"{one}/service.d" for one in _UNITS)
_NETWORK = _below("systemd/network")
_DISPATCHER = _below("NetworkManager/dispatcher.d", "NetworkManager/dispatcher.d/*.d")
_RUN_BY_OTHERS = (
    "/etc/init.d", "/etc/rc.d/init.d", "/etc/local.d", "/etc/rc.local.d", "/etc/rc.d/rc.local.d", "/etc/sv/*",
    "/etc/sysconfig/modules", "/etc/profile.d", "/etc/infiniband", "/etc/ifplugd/action.d", "/etc/acpi",
    *_below("systemd/system-generators", "systemd/system-sleep", "systemd/system-shutdown"),
    "/etc/network/if-*.d", "/etc/dhcp/*.d", "/etc/ppp/*.d", "/etc/sysconfig/network-scripts",
    "/etc/sysconfig/network/scripts", "/etc/wicked/scripts",
    *_DISPATCHER, *_below("networkd-dispatcher/*.d"), "/etc/libvirt/hooks", "/etc/libvirt/hooks/*.d",
    "/var/lib/cloud/scripts/*", "/var/lib/cloud/instance/scripts", "/var/lib/cloud/instance/scripts/*",
    "/var/lib/cloud/instance/boothooks", "/var/lib/vz/snippets",
)  # fmt: skip
_CRON = (
    "/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly",
    "/var/spool/cron", "/var/spool/cron/crontabs",
)  # fmt: skip

PLAIN = r"sriov_numvfs|/sriov_nu?m?v?f?s?[*?\[]"
"""The file's name, or a glob that fits it."""
_MAX_VFS = r"(?:max_vfs|num_vfs|num_of_vfs|num_vf|vf_num)=[0-9,]*[1-9]"
NETPLAN = "netplan"

PLACES: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    ("systemd-udevd (.link)", _NETWORK, "*.link", r"^\s*SR-IOVVirtualFunctions\s*=|^\s*\[SR-IOV\]"),
    ("systemd-networkd", _NETWORK, "*.network", r"^\s*\[SR-IOV\]"),
    ("NetworkManager", _below("NetworkManager/system-connections"), "*", r"^\s*total-vfs\s*=\s*[1-9]"),
    ("NetworkManager", ("/etc/sysconfig/network-scripts",), "ifcfg-*", r"^\s*SRIOV_TOTAL_VFS=\W*[1-9]"),
    ("NetworkManager", (*_below("NetworkManager/conf.d"), "/etc/NetworkManager", "/var/lib/NetworkManager"),
     "*.conf", r"^\s*(?:device\.)?sriov-num-vfs\s*=\s*[1-9]"),
    (NETPLAN, _below("netplan"), "*.yaml", r"\bvirtual-function-count\W*:"),
    ("nmstate", ("/etc/nmstate",), "*.y*ml", r"\btotal-vfs\W*:\W*[1-9]"),
    ("os-net-config", ("/etc/os-net-config", "/var/lib/os-net-config"), "*", r"\bnumvfs\W*:|\bsriov_pf\b"),
    ("ifstate", ("/etc/ifstate", "/etc/ifstate/*"), "*.y*ml", PLAIN),
    ("sriov-network-operator", ("/etc/sriov-operator",), "*", r""),
    ("sriov-network-operator", _below("systemd/system")[:3], "sriov-config*.service", r""),
    ("a boot script", ("/etc", "/etc/network", "/etc/rc.d"), "rc.local", PLAIN),
    ("a boot script", ("/etc", "/etc/rc.d"), "rc.modules", PLAIN),
    ("a script", _RUN_BY_OTHERS, "*", PLAIN),
    ("a script", ("/usr/sbin", "/sbin"), "if*-local", PLAIN),
    ("init", ("/etc",), "inittab", PLAIN),
    ("a udev rule", _below("udev/rules.d"), "*.rules", PLAIN),
    *(("a systemd unit", (*_UNITS, *_ENABLED), f"*.{kind}", PLAIN) for kind in ("service", "socket", "mount")),
    ("a systemd unit", _FOR_ALL_SERVICES, "*.conf", PLAIN),
    ("systemd-tmpfiles", _below("tmpfiles.d"), "*.conf", PLAIN),
    ("sysfsutils", ("/etc/sysfs.d",), "*.conf", PLAIN),
    ("sysfsutils", ("/etc",), "sysfs.conf", PLAIN),
    *(("tuned", _below("tuned", "tuned/*", "tuned/profiles/*"), names, PLAIN) for names in ("*.conf", "*.sh")),
    ("ifupdown", ("/etc/network", "/etc/network/interfaces.d"), "interfaces", PLAIN),
    ("ifupdown", ("/etc/network/interfaces.d",), "*", PLAIN),
    ("cron", ("/etc",), "*crontab", PLAIN),
    ("cron", _CRON, "*", PLAIN),
    ("cloud-init", ("/etc/cloud",), "cloud.cfg", PLAIN),
    ("cloud-init", ("/etc/cloud/cloud.cfg.d",), "*.cfg", PLAIN),
    ("cloud-init", ("/var/lib/cloud/instance",), "*cloud-config.txt", PLAIN),
    *(("a module option", folders, names, rf"^\s*(?:options|install)\s.*\b{_MAX_VFS}|{PLAIN}")
      for folders, names in ((_below("modprobe.d"), "*.conf"), (("/etc",), "modprobe.conf"))),
    ("the kernel's command line", ("/proc",), "cmdline", rf"\w+\.{_MAX_VFS}"),
)  # fmt: skip
"""(program, folders, file names, pattern of a writer's line).

Folders may have globs in their last component. Files that are run themselves are before those that name others.
"""
