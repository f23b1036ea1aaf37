"""Rows of kernels that are tried: one stays, five do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEPLOYED = "trial_deployed"
UNITS = "/etc/systemd/system/kvmfleet-sriov-boot"
NO_GUARD, WAY_BACK, SEEN = f"{UNITS}-guard.service.d", f"{UNITS}-back.service.d", "/root/kvmfleet-seen"
LEFT = f"rm -rf {NO_GUARD} {WAY_BACK} {SEEN}; systemctl daemon-reload"
"""Takes away what a row has put there."""
WITHOUT_GUARD = (
    f"mkdir -p {NO_GUARD} {WAY_BACK}; printf '[Unit]\\nConditionPathExists=/nowhere\\n' >{NO_GUARD}/no.conf; "
    f"printf '[Service]\\nExecStartPre=-/bin/sh -c \"uname -r >{SEEN}; sync\"\\n' >{WAY_BACK}/seen.conf; sync"
)
"""The guard does not start.

The unit that goes back instead notes which kernel it has seen.
"""
WITH_GUARD = f"rm -rf {NO_GUARD}; systemctl daemon-reload; systemctl start kvmfleet-sriov-boot-guard || true"
HANG = "kill -SEGV 1"
"""systemd stops in its handler of crashes, and feeds no watchdog.

Programs of a real-time class do not hang a kernel of today: its fair server leaves the others a twentieth.
"""
PANIC = "echo c >/proc/sysrq-trigger"
ENDED = "it ended before it was confirmed"
NEVER = "it never came to its guard"
CONFIRM_S = 120
"""Time for a confirmation that does not come, from the boot on.

The guard sees a healthy host after a minute: two CPUs are emulated by one.
"""


@dataclass(frozen=True)
class Trial:
    """A kernel that is tried on an emulated host.

    ``says``: part of the reason why it does not stay, empty for the one that the playbook deploys; ``arm``: arguments
    of boot_trial, or variables of the playbook; ``before``: a command on the old kernel, ``amid`` on the new one once
    it is healthy, ``after`` on the old one again, ``evidence`` one that must succeed then. ``files``: folders of the
    repository that it alone rests on.
    """

    name: str
    what: str
    says: str = ""
    arm: Mapping[str, object] = field(default_factory=dict)
    before: str = "true"
    amid: str = ""
    after: str = "true"
    evidence: str = "true"
    files: tuple[str, ...] = ()


TRIALS = (
    Trial(DEPLOYED, "the playbook deploys it, reboots into it and makes it the default",
          arm={"kernel_deploy_boot": "once", "kernel_deploy_health_s": 400, "kernel_deploy_confirm_s": 180},
          files=("roles/kernel_deploy/tasks", "roles/kernel_deploy/vars", "roles/kernel_deploy/defaults")),
    Trial("trial_unconfirmed", "nobody confirms it", f"it was not confirmed within {CONFIRM_S} s",
          {"confirm_s": CONFIRM_S}),
    Trial("trial_unhealthy", "it is not healthy", "/bin/false", {"health_commands": [["/bin/false"]], "health_s": 100}),
    Trial("trial_hangs", "it hangs, and the watchdog resets the host", ENDED, {"watchdog_s": 30}, amid=HANG),
    Trial("trial_panics", "it panics", ENDED, {"panic_s": 5}, amid=PANIC),
    Trial("trial_without_guard", "its guard does not start", NEVER, before=WITHOUT_GUARD, after=WITH_GUARD,
          evidence=f"grep -qx NEW {SEEN}"),
)  # fmt: skip
"""Any other is run after the first, which installs the guard."""
