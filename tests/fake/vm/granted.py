# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fake systemd grants a unit."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN_AS = {"CPUQuotaPeriodSec": "CPUQuotaPeriodUSec", "TimeoutStopSec": "TimeoutStopUSec"}
LIMITS = {"LimitNOFILE": ("open files", "1024", "524288"), "LimitMEMLOCK": ("locked memory", "8388608", "8388608")}
DEFAULTS = {
    "CPUWeight": "[not set]", "CPUQuotaPerSecUSec": "infinity", "CPUQuotaPeriodUSec": "infinity", "AllowedCPUs": "",
    "MemoryMax": "infinity", "MemoryMin": "0", "TasksMax": "4915", "DevicePolicy": "auto", "KillMode": "control-group",
    "SystemCallFilter": "~", "TimeoutStopUSec": "1min 30s", "IOSchedulingClass": "0", "IOSchedulingPriority": "0",
    "Restart": "no",
}  # fmt: skip


class Granted:
    """The words of systemd-run that are properties, slice and variables."""

    def __init__(self, words: Sequence[str] = ()) -> None:
        pairs = [word.removeprefix("--property=").partition("=") for word in words if word.startswith("--property=")]
        self.properties = [(name, value) for name, _equals, value in pairs]
        self.environment = [word.removeprefix("--setenv=") for word in words if word.startswith("--setenv=")]
        self.slice = next((word[8:] for word in words if word.startswith("--slice=")), "system.slice")

    def value(self, name: str, default: str = "") -> str:
        return next((value for known, value in self.properties if known == name), default)

    def group(self, unit: str) -> str:
        """Its control group: a slice a-b.slice is below a.slice (systemd.slice(5))."""
        parts = self.slice.removesuffix(".slice").split("-")
        slices = ["-".join(parts[: number + 1]) + ".slice" for number in range(len(parts))]
        return "/" + "/".join([*slices, unit])

    def files(self, pid: int, unit: str) -> dict[str, str]:
        """Files of /proc/PID."""
        uid = "Uid:\t0\t0\t0\t0\n"
        limits = {name: self.value(key, f"{soft}:{hard}").split(":") for key, (name, soft, hard) in LIMITS.items()}
        rows = [f"Max {name:<22}{row[0]:<21}{row[-1]:<21}files\n".replace("infinity ", "unlimited")
                for name, row in limits.items()]  # fmt: skip
        fields = ["0"] * 50
        fields[16], fields[19], fields[38] = self.value("Nice", "0"), str(pid * 10), "0"
        return {
            "status": f"Name:\tqemu\nUmask:\t{self.value('UMask', '0022')}\n{uid}"
            f"Cpus_allowed_list:\t{self.value('CPUAffinity', '0-7')}\n",
            "cgroup": f"0::{self.group(unit)}\n", "limits": f"Limit{' ' * 21}Soft Limit\n{''.join(rows)}",
            "environ": "".join(f"{text}\0" for text in [*self.environment, f"INVOCATION_ID={pid:032x}"]),
            "oom_score_adj": self.value("OOMScoreAdjust", "0") + "\n",
            "stat": f"{pid} (qemu) S {' '.join(fields[1:])}\n",
        }  # fmt: skip

    def show(self, names: Sequence[str]) -> list[str]:
        """Lines of ``systemctl show`` for these properties."""
        lines = []
        for name in names:
            given = [value for known, value in self.properties if SHOWN_AS.get(known, known) == name]
            if name == "CPUQuotaPerSecUSec" and self.value("CPUQuota"):
                given = [f"{float(self.value('CPUQuota').rstrip('%')) / 100:.3f}s"]
            lines += [f"{name}={value}" for value in given or [DEFAULTS.get(name, "")]]
        return lines
