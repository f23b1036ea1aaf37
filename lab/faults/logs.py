"""What is kept of a case: what its host says after it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping

from ..machine.host import Running
from ..paths import REPOSITORY
from ..progress import LabError

FOLDER = REPOSITORY / "build" / "faults"


def keep(host: Running, name: str, commands: Mapping[str, str]) -> None:
    """Write the journal of our units, and what ``commands`` print, by names."""
    (FOLDER / name).mkdir(parents=True, exist_ok=True)
    for file, command in {"journal": "journalctl --no-pager -u 'kvmfleet*' -n 300", **commands}.items():
        with contextlib.suppress(LabError, subprocess.SubprocessError):
            (FOLDER / name / f"{file}.log").write_text(host.ssh.run(command, timeout_s=60))
