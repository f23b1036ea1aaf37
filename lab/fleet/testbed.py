"""Fleets for tests, booted once and ready for many runs.

Each host runs the kernel of its flavour, Debian's where it has none.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from .. import playbook
from ..images import kernel_image, rootfs
from ..kernels import packages
from ..kernels.flavour import FLAVOURS, STANDARD
from ..machine import host
from ..machine.ssh import Ssh
from ..paths import HERE, REPOSITORY, RUNS, building
from ..progress import LabError, say, step
from . import fleet, inventory, operations

FLEET = "test"
"""Fleet of molecule's scenarios."""
SCENARIOS = REPOSITORY / "molecule"
ELSEWHERE = ("libvirt",)
"""Scenarios on a fleet of their own; rows of the faults."""
LOGS = REPOSITORY / "build" / "molecule"
PYTHON = "/usr/local/lib/kvmfleet-lab"
"""Folder of hosts on their Python's path, for modules over ssh."""


def ready(name: str = FLEET, only: Collection[str] = ()) -> list[host.Running]:
    """The fleet's hosts, running, each on its flavour's kernel.

    Started afresh unless the fleet runs already. ``only``: hosts of other flavours than these are left out.
    """
    wanted = fleet.load(name)
    left = [one.name for one in wanted.hosts if only and one.flavour in FLAVOURS and one.flavour not in only]
    hosts = [entry for entry in host.running(wanted, rootfs.ssh_key()) if entry.host.name not in left]
    flavours = tuple(dict.fromkeys(entry.host.flavour for entry in hosts if entry.host.flavour in FLAVOURS))
    operations.build([flavour for flavour in flavours if flavour not in STANDARD])
    stamp = RUNS / name / "ready.json"
    if all(entry.pid() for entry in hosts) and stamp.exists() and stamp.read_text() == _facts(hosts, flavours):
        mine = [entry for entry in hosts if entry.host.flavour in flavours]
        if all(_running(entry) == packages.built(entry.host.flavour).release for entry in mine):
            say(f"fleet {name} is up already")
            return hosts
    operations.down(name)
    with building():
        images = {flavour: kernel_image.build(rootfs.build(), packages.built(flavour)) for flavour in flavours}
    roots = {one.name: images[one.flavour] for one in wanted.hosts if one.flavour in images}
    hosts = operations.up(name, left, roots)
    for entry in hosts:
        if entry.host.name in roots:
            _require_kernel(entry)
    stamp.write_text(_facts(hosts, flavours))
    return hosts


def _require_kernel(entry: host.Running) -> None:
    """Raise LabError unless a host runs the kernel of its flavour."""
    running, wanted = _running(entry), packages.built(entry.host.flavour).release
    if running != wanted:
        raise LabError(f"{entry.host.name} runs {running}, not {wanted}: see its console.log")


def _running(entry: host.Running) -> str:
    """Release of the kernel that a host runs."""
    return entry.ssh.run("uname -r").strip()


def keep_bytecode(ssh: Ssh) -> None:
    """Have a host keep the bytecode of Ansible's modules.

    An emulated one compiles each for seconds, and each of a scenario's hundreds of tasks sends one.
    """
    ssh.put(HERE / "bytecode" / "sitecustomize.py", f"{PYTHON}/sitecustomize.py")
    setting = f"SetEnv PYTHONPATH={PYTHON} KVMFLEET_BYTECODE={PYTHON}/kept\n"
    ssh.run("cat >/etc/ssh/sshd_config.d/bytecode.conf && systemctl reload ssh", data=setting.encode())


def _is_last(scenario: str) -> tuple[bool, str]:
    """Order of scenarios: last is the one that reboots hosts."""
    return scenario == "boot", scenario


def _facts(hosts: list[host.Running], flavours: tuple[str, ...]) -> str:
    """Facts that a fleet must keep to stay ready.

    Its kernels' packages and its processes.
    """
    manifests = [(packages.folder(name) / "manifest.json").read_text() for name in flavours]
    return json.dumps([manifests, [entry.pid() for entry in hosts]])


def notes(scenario: str) -> Path:
    """An empty folder for molecule's notes of a scenario.

    Without one they lie in the home folder and outlive the hosts: by them molecule takes hosts for prepared that
    another run prepared, and skips ``prepare``.
    """
    folder = REPOSITORY / "build" / "molecule" / "notes" / scenario
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def hosts_of(scenario: str) -> frozenset[str]:
    """Names of the hosts that a scenario's playbooks act on."""
    texts = [path.read_text() for path in sorted((SCENARIOS / scenario).glob("*.yml"))]
    plays = [play for text in texts for play in yaml.safe_load(text) or [] if isinstance(play, dict)]
    patterns = [str(play.get("hosts") or play.get("vars", {}).get("live_update_hosts", "")) for play in plays]
    return frozenset(name for pattern in patterns for name in pattern.split(":") if name)


def lanes(hosts: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """Lanes of scenarios that can run side by side.

    Scenarios that share a host, also by way of a third, are in one lane, in their order.
    """
    found: list[tuple[list[str], frozenset[str]]] = []
    for scenario, needed in hosts.items():
        mine = [lane for lane in found if lane[1] & needed]
        names = [name for lane in mine for name in lane[0]] + [scenario]
        taken = needed.union(*(lane[1] for lane in mine))
        found = [lane for lane in found if lane not in mine] + [(names, taken)]
    return [names for names, _taken in found]


def molecule(scenarios: list[str], keep: bool) -> int:
    """Run molecule's scenarios on the shared fleet; 0 if all passed.

    All of them by default.
    """
    for entry in ready():
        keep_bytecode(entry.ssh)
    names = scenarios or sorted(
        (path.parent.name for path in SCENARIOS.glob("*/molecule.yml") if path.parent.name not in ELSEWHERE),
        key=_is_last,
    )
    if not names:
        raise LabError(f"no scenario in {SCENARIOS}")
    work = lanes({name: hosts_of(name) for name in names})
    say(f"side by side: {'; '.join(', '.join(lane) for lane in work)}")
    try:
        with ThreadPoolExecutor(min(len(work), host.AT_WORK)) as pool:
            passed = sum(pool.map(lambda lane: sum([run(name) for name in lane]), work))
    finally:
        if not keep:
            operations.down(FLEET)
    print(f"molecule: {passed} passed, {len(names) - passed} failed", flush=True)
    return int(passed < len(names))


def run(scenario: str, fleet_name: str = FLEET) -> bool:
    """Run one scenario on a fleet to its end; whether it passed.

    Its output goes to a log; the end of a failed one's is shown.
    """
    log = LOGS / f"{scenario}.log"
    more = {
        "KVMFLEET_INVENTORY": str(inventory.path(fleet_name)),
        "KVMFLEET_KERNEL_MANIFEST": str(packages.built("series").folder / "manifest.json"),
        "ANSIBLE_NOCOLOR": "1",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(notes(scenario)),
    }
    environment = {key: value for key, value in playbook.environment().items() if key != "ANSIBLE_CONFIG"} | more
    argv = [str(playbook.BIN / "molecule"), "test", "--scenario-name", scenario]
    with step(f"molecule scenario {scenario} (log: {log})"), log.open("wb") as file:
        done = subprocess.run(
            argv, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
    if done.returncode:
        say(f"molecule scenario {scenario} failed; {log} ends:\n{log.read_text(errors='replace')[-6000:]}")
    return done.returncode == 0
