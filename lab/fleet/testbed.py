"""The fleet that conformance cases and molecule scenarios share: booted once, then found ready."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path

from .. import playbook
from ..images import rootfs
from ..kernels import packages
from ..kernels.flavour import FLAVOURS, STANDARD
from ..machine import host
from ..paths import HERE, REPOSITORY, RUNS
from ..progress import say, step
from . import fleet, inventory, operations

FLEET = "test"


def ready(name: str = FLEET, only: Collection[str] = ()) -> list[host.Running]:
    """The fleet's hosts, up, those named after a flavour on that kernel; started afresh unless it runs already.

    ``only``: hosts that are named after a flavour and are not among these are left out.
    """
    wanted = fleet.load(name)
    left = [one.name for one in wanted.hosts if only and one.name in FLAVOURS and one.name not in only]
    hosts = [entry for entry in host.running(wanted, rootfs.ssh_key()) if entry.host.name not in left]
    flavours = tuple(entry.host.name for entry in hosts if entry.host.name in FLAVOURS)
    operations.build()
    more = tuple(flavour for flavour in flavours if flavour not in STANDARD)
    if more:
        packages.build(more)
    stamp = RUNS / name / "ready.json"
    if all(entry.pid() for entry in hosts) and stamp.exists() and stamp.read_text() == _facts(hosts, flavours):
        say(f"fleet {name} is up already")
        return hosts
    operations.down(name)
    hosts = operations.up(name, left)
    with step(f"boot {', '.join(flavours)} into their kernels"):
        variables = {"lab_kernels": str(packages.folder("")), "lab_hosts": list(flavours)}
        playbook.run(HERE / "playbooks" / "boot_kernel.yml", inventory.path(name), "-e", json.dumps(variables))
    stamp.write_text(_facts(hosts, flavours))
    return hosts


def _facts(hosts: list[host.Running], flavours: tuple[str, ...]) -> str:
    """What must not have changed since the fleet was made ready: its kernels' packages and its processes."""
    manifests = [(packages.folder(name) / "manifest.json").read_text() for name in flavours]
    return json.dumps([manifests, [entry.pid() for entry in hosts]])


def notes(scenario: str) -> Path:
    """An empty folder for molecule's notes of a scenario, which else lie in the home folder and outlive the hosts.

    By them it takes hosts for prepared that another run prepared, and skips ``prepare``.
    """
    folder = REPOSITORY / "build" / "molecule" / "notes" / scenario
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def molecule(scenarios: list[str], keep: bool) -> int:
    """Run molecule's scenarios, all of them by default, on the shared fleet; returns molecule's status."""
    ready()
    names = scenarios or sorted(path.parent.name for path in (REPOSITORY / "molecule").glob("*/molecule.yml"))
    more = {"KVMFLEET_INVENTORY": str(inventory.path(FLEET)), "ANSIBLE_NOCOLOR": "1"}
    environment = {key: value for key, value in playbook.environment().items() if key != "ANSIBLE_CONFIG"} | more
    environment["KVMFLEET_KERNEL"] = packages.built("series").release
    environment["KVMFLEET_KERNEL_MANIFEST"] = str(packages.folder("series") / "manifest.json")
    passed = 0
    for name in names:
        environment["MOLECULE_EPHEMERAL_DIRECTORY"] = str(notes(name))
        argv = [str(playbook.BIN / "molecule"), "test", "--scenario-name", name]
        with step(f"molecule scenario {name}"):
            done = subprocess.run(argv, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL)
        passed += done.returncode == 0
    print(f"molecule: {passed} passed, {len(names) - passed} failed", flush=True)
    if not keep:
        operations.down(FLEET)
    return 0 if passed == len(names) and names else 1
