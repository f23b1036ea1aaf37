# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a VM's unit, for the transient unit that restores it.

What a process has (limits, pinning, environment) is read from the process itself, whatever gave it that; what its
control group has is read from its unit. Values are handed to systemd-run as words of their own, which it gives to
systemd over D-Bus: no shell, specifier or variable is expanded in them (bus_exec_context_set_transient_property of
systemd writes them with UNIT_ESCAPE_SPECIFIERS).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..._model.errors import BadInputError, KernelError
from ..._system.process import Run
from ..._system.sysfs import Sysfs
from ..candidates import USERS

DEFAULT_SLICE = "system.slice"
LIMITS = {
    "cpu time": "CPU", "file size": "FSIZE", "data size": "DATA", "stack size": "STACK", "core file size": "CORE",
    "resident set": "RSS", "processes": "NPROC", "open files": "NOFILE", "locked memory": "MEMLOCK",
    "address space": "AS", "file locks": "LOCKS", "pending signals": "SIGPENDING", "msgqueue size": "MSGQUEUE",
    "nice priority": "NICE", "realtime priority": "RTPRIO", "realtime timeout": "RTTIME",
}  # fmt: skip
"""Names of /proc/PID/limits (fs/proc/base.c), and of systemd's Limit...= for them."""
POLICIES = {"1": "fifo", "2": "rr", "3": "batch", "5": "idle"}
"""Scheduling policies other than SCHED_OTHER (include/uapi/linux/sched.h)."""
SHOWN = {
    "Description": (), "CPUWeight": ("[not set]",), "StartupCPUWeight": ("[not set]",), "CPUQuotaPerSecUSec":
    ("infinity",), "CPUQuotaPeriodUSec": ("infinity",), "AllowedCPUs": (), "AllowedMemoryNodes": (),
    "IOWeight": ("[not set]",), "StartupIOWeight": ("[not set]",), "IODeviceWeight": (), "IOReadBandwidthMax": (),
    "IOWriteBandwidthMax": (), "IOReadIOPSMax": (), "IOWriteIOPSMax": (), "MemoryMin": ("0",), "MemoryLow": ("0",),
    "MemoryHigh": ("infinity",), "MemoryMax": ("infinity",), "MemorySwapMax": ("infinity",), "TasksMax":
    ("[not set]",), "DevicePolicy": ("auto",), "DeviceAllow": (), "ManagedOOMSwap": ("auto",),
    "ManagedOOMMemoryPressure": ("auto",), "ManagedOOMPreference": ("none",), "NUMAPolicy": ("n/a", "-1"),
    "NUMAMask": (), "IOSchedulingClass": ("0",), "IOSchedulingPriority": (), "KillMode": ("control-group",),
    "KillSignal": ("15",), "TimeoutStopUSec": (), "SyslogIdentifier": (), "RuntimeDirectory": (),
    "RuntimeDirectoryMode": ("0755",), "RuntimeDirectoryPreserve": ("no",), "LogRateLimitIntervalUSec": ("0",),
    "LogRateLimitBurst": ("0",),
}  # fmt: skip
"""Properties that are carried over, each with values that say nothing."""
RENAMED = {
    "CPUQuotaPeriodUSec": "CPUQuotaPeriodSec", "TimeoutStopUSec": "TimeoutStopSec",
    "LogRateLimitIntervalUSec": "LogRateLimitIntervalSec",
}  # fmt: skip
"""Names that systemctl show gives, and those that are set."""
VOLATILE = ("/run/systemd/transient/", "/run/systemd/system.control/", "/run/systemd/system/")
"""Folders of settings until the next boot (systemd.unit(5)).

Such as those of `systemctl set-property --runtime`.
"""
COMMANDS = ("ExecCondition", "ExecStartPre", "ExecStartPost", "ExecStop", "ExecStopPost")
LOST = {"SystemCallFilter": ("~",), "RootDirectory": (), "RootImage": (), "AppArmorProfile": (), "SELinuxContext": (),
        **dict.fromkeys(COMMANDS, ())}  # fmt: skip
"""Properties that cannot be carried over: a unit with one is refused."""
SYSTEMD_SETS = frozenset({
    "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "MAINPID", "MANAGERPID", "LISTEN_FDS", "LISTEN_PID",
    "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY", "RUNTIME_DIRECTORY",
    "STATE_DIRECTORY", "CACHE_DIRECTORY", "LOGS_DIRECTORY", "CONFIGURATION_DIRECTORY", "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE",
})  # fmt: skip
"""Variables that systemd sets for each start (systemd.exec(5))."""
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class UnitSettings:
    """What a VM's unit grants.

    ``properties`` and ``environment``: texts NAME=VALUE; ``slice`` is empty for the default; ``lost``: names of what
    cannot be carried over.
    """

    slice: str = ""
    properties: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    def words(self) -> list[str]:
        """Words for systemd-run; its environment goes another way.

        See `environment_file`.
        """
        slices = [f"--slice={self.slice}"] if self.slice else []
        properties = [f"--property={text}" for text in self.properties]
        return [*slices, *properties]

    @classmethod
    def parse(cls, data: object, where: str) -> UnitSettings:
        """Parse the settings of a manifest; `BadInputError` names the path."""
        if not isinstance(data, Mapping) or not isinstance(data.get("slice", ""), str):
            raise BadInputError(f"{where}: expected an object with a text `slice`, found {data!r}")
        for key in ("properties", "environment", "lost"):
            words = data.get(key, ())
            if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) for word in words):
                raise BadInputError(f"{where}.{key}: expected a list of texts, found {words!r}")
        lists = [tuple(data.get(key, ())) for key in ("properties", "environment", "lost")]
        return cls(data.get("slice", ""), *lists)


def read(sysfs: Sysfs, run: Run, pid: int, group: str) -> UnitSettings:
    """Read the settings of a running process, whose control group is ``group``."""
    names = [] if group.startswith(USERS) else [part for part in group.split("/") if part]
    units = [name for name in names if name.endswith((".service", ".scope"))]
    slices = [name for name in names if name.endswith(".slice") and name != DEFAULT_SLICE]
    shown = _show(run, [*SHOWN, *LOST], units[-1]) if units else []
    environment, unfit = _environment(_text(sysfs, f"/proc/{pid}/environ"))
    return UnitSettings(
        slice=slices[-1] if slices else "",
        properties=(*_carried(shown), *_of_process(sysfs, pid)),
        environment=environment,
        lost=(
            *(f"{name}=" for name, value in shown if name in LOST and value not in LOST[name]),
            *(f"settings of {name} in {path}" for name in slices for path in _volatile(run, name)),
            *unfit,
        ),
    )


def _show(run: Run, properties: Iterable[str], unit: str) -> list[tuple[str, str]]:
    """(name, value) of each property; those of several devices come repeatedly."""
    text = run(["systemctl", "show", f"--property={','.join(properties)}", unit])
    pairs = [line.partition("=") for line in text.splitlines()]
    return [(name, value) for name, _equals, value in pairs if value]


def _volatile(run: Run, name: str) -> list[str]:
    """Files of a unit that the kexec removes, and nobody writes again."""
    found = [value for _name, value in _show(run, ("FragmentPath", "DropInPaths"), name)]
    return [path for value in found for path in value.split() if path.startswith(VOLATILE)]


def _carried(shown: list[tuple[str, str]]) -> Iterator[str]:
    for name, value in shown:
        if name == "IOSchedulingPriority" and ("IOSchedulingClass", "0") in shown:
            continue
        if name in SHOWN and value not in SHOWN[name]:
            if name == "CPUQuotaPerSecUSec":
                yield f"CPUQuota={_seconds(value) * 100:.2f}%"
            else:
                yield f"{RENAMED.get(name, name)}={value}"


def _seconds(text: str) -> float:
    """Seconds of a time span as systemd prints it, ``1min 2.500s``."""
    return sum(float(number) * SECONDS[unit] for number, unit in re.findall(r"([0-9.]+)(us|ms|s|min|h|d)\b", text))


def _of_process(sysfs: Sysfs, pid: int) -> Iterator[str]:
    yield from _limits(_text(sysfs, f"/proc/{pid}/limits"))
    score = _text(sysfs, f"/proc/{pid}/oom_score_adj")
    if score:
        yield f"OOMScoreAdjust={score}"
    status = _status(sysfs, pid)
    pinned = status.get("Cpus_allowed_list", "")
    if pinned and pinned != _status(sysfs, 1).get("Cpus_allowed_list"):
        yield f"CPUAffinity={pinned}"
    if status.get("Umask", "0022") != "0022":
        yield f"UMask={status['Umask']}"
    if status.get("NoNewPrivs") == "1":
        yield "NoNewPrivileges=yes"
    yield from _scheduling(_text(sysfs, f"/proc/{pid}/stat"))
    yield from _output(sysfs, pid)


def _limits(text: str) -> Iterator[str]:
    """Limits of /proc/PID/limits, soft and hard, in systemd's names and units."""
    for name, soft, hard in re.findall(r"^Max ([a-z ]+?) +(\d+|unlimited) +(\d+|unlimited)\b", text, re.MULTILINE):
        if name in LIMITS and (soft, hard, name.endswith("priority")) != ("0", "0", True):
            values = ("infinity" if value == "unlimited" else value for value in (soft, hard))
            yield f"Limit{LIMITS[name]}={':'.join(values)}"


def _scheduling(stat: str) -> Iterator[str]:
    """Nice value and policy: fields 19, 40 and 41 of /proc/PID/stat (proc(5))."""
    fields = stat.rpartition(")")[2].split()
    if len(fields) > 16 and fields[16] != "0":
        yield f"Nice={fields[16]}"
    if len(fields) > 38 and fields[38] in POLICIES:
        yield f"CPUSchedulingPolicy={POLICIES[fields[38]]}"
        if fields[38] in ("1", "2"):
            yield f"CPUSchedulingPriority={fields[37]}"


def _output(sysfs: Sysfs, pid: int) -> Iterator[str]:
    """Files that take its output.

    Without those that the kexec removes: it goes to the journal then.
    """
    for number, name in ((1, "StandardOutput"), (2, "StandardError")):
        target = sysfs.target(f"/proc/{pid}/fd/{number}") or ""
        if target == "/dev/null":
            yield f"{name}=null"
        elif target.startswith("/") and not re.search(r"^/(dev|run|tmp)/| \(deleted\)$", target):
            yield f"{name}=append:{target}"


def _environment(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Variables for the next start, and names of those that systemd refuses.

    Names that no unit can have are left out: they are functions of a shell.
    """
    good, unfit = [], []
    for name, equals, value in (item.partition("=") for item in text.split("\0")):
        if not equals or name in SYSTEMD_SETS or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            continue
        if re.search("[\x00-\x08\x0b-\x1f\x7f\ufffd]", value):  # env_value_is_valid of systemd
            unfit.append(f"variable {name}")
        else:
            good.append(f"{name}={value}")
    return tuple(good), tuple(unfit)


def _status(sysfs: Sysfs, pid: int) -> dict[str, str]:
    pairs = (line.partition(":") for line in _text(sysfs, f"/proc/{pid}/status").splitlines())
    return {name: value.strip() for name, _colon, value in pairs}


def _text(sysfs: Sysfs, path: str) -> str:
    """A file, empty when its process has ended meanwhile."""
    try:
        return sysfs.read(path)
    except KernelError:
        return ""
