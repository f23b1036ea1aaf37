"""Modules of boots, as a playbook calls them on an emulated host."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from .. import playbook
from ..fleet import inventory
from ..paths import REPOSITORY
from ..progress import LabError


def trial(fleet: str, **arguments: object) -> dict[str, Any]:
    return module(fleet, "boot_trial", arguments)


def entry(fleet: str, **arguments: object) -> dict[str, Any]:
    return module(fleet, "boot_entry", arguments)


def module(fleet: str, name: str, arguments: dict[str, object]) -> dict[str, Any]:
    """Run a module of the installed collection; returns its result."""
    path = inventory.path(fleet)
    argv = [str(playbook.BIN / "ansible"), "all", "-i", str(path), "-m", f"kvmfleet.sriov.{name}"]
    done = subprocess.run(
        [*argv, *(("-a", json.dumps(arguments)) if arguments else ())],  # ansible takes {} for free text
        env=playbook.environment() | {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        cwd=REPOSITORY, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        raise LabError(f"{name} {arguments} ended with status {done.returncode}: {done.stdout[-1500:]}")
    return dict(json.loads(done.stdout.partition(" => ")[2]))
