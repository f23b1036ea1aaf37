"""Played hosts that stay, for playbooks and declarations of one's own."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from ..playbook import BIN
from .host import NETDEV, NEW

OWN = json.dumps({"sriov_pfs": [{"pf": NETDEV, "hardware_vfs": "max", "vfs": [{"ids": "4-6", "vlan": 200}]}]})


def commands() -> list[str]:
    """What may be typed in the hosts' folder, for example."""
    updated = f"-e live_update_hosts=all -e live_update_kernel={NEW} -e @settings.json"
    return [
        f"{BIN}/ansible-playbook kvmfleet.sriov.sriov -l hv3 --check --diff -e '{OWN}'",
        f"{BIN}/ansible-playbook kvmfleet.sriov.live_update {updated} --check",
    ]


def wait(folder: Path, lines: Iterable[str] | None = None) -> None:
    """Keep the hosts until Ctrl-C or the end of ``lines``.

    These are those of input by default. The hosts' kernels are threads of this process.
    """
    typed = "\n".join(f"  {line}" for line in [f"cd {folder}", *commands()])
    print(f"\nThe played hosts stay until Ctrl-C, or the end of input. In another terminal:\n\n{typed}\n")
    print(
        "ansible.cfg there names inventory, collection and connection; change sriov_pfs in inventory.yml, or give -e."
    )
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        for _line in sys.stdin if lines is None else lines:
            pass
    print("The played hosts have ended.")
