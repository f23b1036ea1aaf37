"""Run playbooks with the collection installed from its tarball, as users do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .paths import HERE, REPOSITORY
from .progress import LabError, step
from .progress import run as tool

BIN = REPOSITORY / ".venv" / "bin"
COLLECTIONS = REPOSITORY / "build" / "collections"


def environment() -> dict[str, str]:
    """Ansible's environment: the installed collection only, never the checkout."""
    more = {
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_CONFIG": str(HERE / "ansible.cfg"),
        "PYTHONUNBUFFERED": "1",
    }
    return os.environ | more | {"PATH": f"{BIN}:{os.environ['PATH']}"}


def install_collection() -> None:
    with step("build the collection's tarball and install it into build/collections"):
        tool([REPOSITORY / "tools" / "collection"], cwd=REPOSITORY)


def command(name: str | Path, inventory: Path | None = None, *words: str) -> list[str]:
    """Command line that runs a playbook.

    ``kvmfleet.sriov.NAME`` or a file, on this machine without an inventory.
    """
    return [str(BIN / "ansible-playbook"), str(name), "-i", str(inventory) if inventory else "localhost,", *words]


def run_to(log: Path, name: str | Path, inventory: Path | None = None, *words: str) -> str:
    """Run a playbook as a step whose output is logged.

    Returns the output. Raises LabError with the end of its output if it fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with step(f"ansible-playbook {name}, with its output in {log}"), log.open("a+") as file:
        begin = file.seek(0, os.SEEK_END)
        status = subprocess.run(
            command(name, inventory, *words), env=environment(), cwd=REPOSITORY, stdin=subprocess.DEVNULL,
            stdout=file, stderr=subprocess.STDOUT,
        ).returncode  # fmt: skip
        file.seek(begin)
        output = file.read()
        if status:
            raise LabError(f"ansible-playbook {name} ended with status {status} (all of it: {log}):\n{output[-4000:]}")
    return output


def run(name: str | Path, inventory: Path | None = None, *words: str, check: bool = True) -> int:
    """Run a playbook with its output on the terminal.

    Raises LabError if it fails.
    """
    status = subprocess.run(
        command(name, inventory, *words), env=environment(), cwd=REPOSITORY, stdin=subprocess.DEVNULL
    ).returncode
    if check and status:
        raise LabError(f"ansible-playbook {name} ended with status {status}")
    return status
