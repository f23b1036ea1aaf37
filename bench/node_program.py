"""Compare the costs of this checkout with another's (``python -m bench.node_program CHECKOUT``).

CPU milliseconds (user and system) of ``sriovctl`` on a host that is as declared, and bytes that Ansible sends for
``sriov_pf``.

Both are measured in turns.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from lab.paths import REPOSITORY
from tests.fake.tools.payload import sent
from tests.unit.plugins.modules.test_unchanged_host import PLAIN, large, of_each

COMMANDS = ("plan", "metrics", "status", "export")
ROUNDS = 15
PFS, VFS = 2, 4
PACK = "import sys, runpy; sys.stdout.buffer.write(runpy.run_path(sys.argv[1])['pack']())"


def program(checkout: Path, folder: Path) -> Path:
    """The node program of ``checkout``, packed into ``folder``."""
    packer = checkout / "plugins/plugin_utils/_node_program.py"
    packed = subprocess.run([sys.executable, "-c", PACK, str(packer)], check=True, capture_output=True).stdout
    (folder / "sriovctl").write_bytes(packed)
    return folder / "sriovctl"


def cpu_ms(file: Path, root: Path, command: str) -> float:
    """CPU time of one run and of its child processes.

    Raises `subprocess.CalledProcessError` when it fails.
    """
    argv = [sys.executable, "-IS", str(file), "--root", str(root), command]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _pid, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv)
    return 1000 * (used.ru_utime + used.ru_stime)


def payload(checkout: Path, folder: Path) -> int:
    """Bytes sent for ``sriov_pf`` of ``checkout``."""
    place = folder / "ansible_collections/kvmfleet/sriov"
    place.parent.mkdir(parents=True)
    place.symlink_to(checkout, target_is_directory=True)
    return sent(folder, "kvmfleet.sriov.sriov_pf", collections=folder)[0]


def main(before: Path) -> None:
    """Print a line for each figure: before, now, ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder, checkouts = Path(name), {"before": before.resolve(), "now": REPOSITORY}
        host = large(folder, "vf-id", PFS, VFS)
        (host.root / "etc/kvmfleet-sriov").mkdir(parents=True)
        (host.root / "etc/kvmfleet-sriov/host.json").write_text(json.dumps({"pfs": of_each(host, PLAIN)}))
        for side in checkouts:
            (folder / side).mkdir()
        programs = {side: program(checkout, folder / side) for side, checkout in checkouts.items()}
        for command in COMMANDS:
            times: dict[str, list[float]] = {side: [] for side in programs}
            for _round in range(ROUNDS):
                for side, file in programs.items():
                    times[side].append(cpu_ms(file, host.root, command))
            show(f"{command}, ms", *(statistics.median(times[side]) for side in checkouts))
        show("sriov_pf, bytes", *(payload(checkout, folder / side) for side, checkout in checkouts.items()))


def show(what: str, before: float, now: float) -> None:
    print(f"{what:16} {before:9.0f} {now:9.0f} {now / before:6.2f}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
