"""A live update of a played host: what the host would report."""

from __future__ import annotations

from typing import Any

from tests.fake.fleet import played

from .host import NEW, OLD, PF, Host

PHASES = (
    ("saving", 0.0, 1.1), ("kexec", 1.1, 10.6), ("resuming", 10.6, 11.2), ("restoring", 11.2, 12.4),
    ("filling", 12.4, 13.0),
)  # fmt: skip
"""Seconds from an update's begin at which each phase begins and ends."""
PAUSED, SAVED, RESUMED = 0.9, 1.1, 12.3
BEATS = (0.0, 0.5, 12.4, 12.9)
"""When the guest says that it lives."""
PRESENT = 4


PAUSE, OUTAGE = RESUMED - PAUSED, RESUMED - 0.2
"""Seconds that a VM is expected to stand still, and without VF."""


def refusal(problem: str, fix: str) -> dict[str, str]:
    """A finding of the preflight that speaks against the update."""
    return {"code": "played", "problem": problem, "fix": fix}


def play(host: Host, begin: float, *refusals: dict[str, str]) -> None:
    """Have a host ready for its update, or to refuse it."""
    result = played.result(host.name, "updated")
    times = {"paused_at": begin + PAUSED, "saved_at": begin + SAVED, "resumed_at": begin + RESUMED}
    vm = {**result["vms"][0], "vfs": [host.pf.vf_address(0)], **times}
    result.update(
        kernel_before=OLD, kernel_after=NEW, interface="vf-id", vms=[vm], used_ids={PF: [0]},
        present_ids_at_first_restore={PF: [0]}, present_ids_at_last_restore={PF: [0]}, vfs_present_at_end={PF: PRESENT},
        phases=[{"name": name, "start": begin + start, "end": begin + end} for name, start, end in PHASES],
    )  # fmt: skip
    lives = [f"{begin + beat:.1f} {host.name} q: life n={number} boot=b1\n" for number, beat in enumerate(BEATS)]
    estimates = [{"name": "web1", "live": True, "pause_s": PAUSE, "without_vf_s": OUTAGE, "idle_pause_s": PAUSE}]
    host.update(result, _manifest(begin), "".join(lives), estimates=estimates, refusals=refusals)


def _manifest(begin: float) -> dict[str, Any]:
    manifest = played.manifest()
    manifest["created"] = begin - 1
    manifest["kernel"].update(release_before=OLD, release_after=NEW)
    return manifest
