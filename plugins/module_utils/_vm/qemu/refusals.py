# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reasons against saving a running QEMU, each with its fix. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ..record import IN_PLACE, MIGRATE
from ..vm_facts import VmFacts
from . import argv as _argv
from . import own_unit
from .facts import QemuFacts

TRANSIENT = "/run/systemd/transient/"
RESTARTS_LEFT_ALONE = ("", "no", "on-failure", "on-abnormal", "on-abort", "on-watchdog")
"""Values of Restart= that leave a QEMU with status 0 ended.

See systemd.service(5).
"""


def problems(vm: VmFacts, strategy: str = IN_PLACE) -> Iterator[tuple[str, str]]:
    """(problem, fix) for each reason against updating a VM so.

    One that migrates is neither saved nor started: its VFs are released, and nothing may start it once more.
    """
    facts = QemuFacts.of(vm)
    if strategy == MIGRATE:
        yield from _starts_again(vm.unit, facts)
        yield from _mute(vm.pid, facts) if vm.vfs else ()
        return
    yield from _process(facts)
    yield from _unit(vm.unit, facts)
    yield from _command_line(facts.argv)
    yield from _monitor(vm.pid, facts, strategy == IN_PLACE)
    yield from facts.needs.problems
    yield from facts.taps.problems


def _process(facts: QemuFacts) -> Iterator[tuple[str, str]]:
    if facts.libvirt:
        yield "it is managed by libvirt", "migrate it away or shut it down first"
    if facts.own_namespaces:
        yield "it runs in namespaces of its own (a container?)", "run it in the host's mount and network namespaces"
    if facts.uid != 0:
        yield (
            f"it runs as user {facts.uid}",
            "run it as root: others cannot write the state files, which are root's alone",
        )


def _unit(unit: str, facts: QemuFacts) -> Iterator[tuple[str, str]]:
    if unit and facts.fragment and not facts.fragment.startswith(TRANSIENT):
        yield own_unit.TWICE.format(unit, facts.fragment), own_unit.FIX
    yield from _starters(unit, facts)
    for name in facts.unit.lost:
        yield (
            f"its unit {unit} has what cannot be carried over: {name}",
            "start it without, or keep it in a file of /etc",
        )


def _starters(unit: str, facts: QemuFacts) -> Iterator[tuple[str, str]]:
    for name, path in facts.starters:
        yield (
            f"unit {name} ({path}) is enabled, and starts a QEMU with its name or its images: a boot starts it twice",
            f"systemctl disable {name}",
        )
    if facts.restart not in RESTARTS_LEFT_ALONE:
        yield f"its unit {unit} has Restart={facts.restart} and would start it again once it has left", "use Restart=no"


def _starts_again(unit: str, facts: QemuFacts) -> Iterator[tuple[str, str]]:
    """What would start a VM here that has left."""
    if facts.enabled:
        yield f"its unit {unit} ({facts.fragment}) is enabled: a boot starts it here too", f"systemctl disable {unit}"
    yield from _starters(unit, facts)


def _command_line(argv: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if _argv.guest_name(argv) is None:
        yield "it has no name, so nobody would know it after the kexec", "start it with -name guest=NAME"
    handles = _argv.inherited(argv)
    if handles:
        yield f"it inherited file descriptors ({' '.join(handles)})", "name devices and sockets by path instead"
    if _argv.throws_writes_away(argv):
        yield "it runs with -snapshot or snapshot=on: disk writes would be lost", "use an overlay file"
    for tap in _argv.orphan_taps(argv):
        yield f"its tap interface {tap} is made by somebody else", "let QEMU make it: -netdev bridge,br=.."
    if _argv.values(argv, "-readconfig"):
        yield "it takes devices from a -readconfig file, which is not understood here", "put them on the command line"


def _mute(pid: int, facts: QemuFacts) -> Iterator[tuple[str, str]]:
    """Reasons why its monitor cannot be asked to release VFs."""
    if facts.qmp is None:
        yield "it has no QMP socket", "start it with -qmp unix:PATH,server=on,wait=off"
    elif facts.probe is None:
        yield f"it does not answer at {facts.qmp} ({facts.probe_error})", "close other QMP clients, or start it again"
    elif facts.probe.pid != pid:
        yield (
            f"process {facts.probe.pid} answers at its monitor {facts.qmp}, another VM has taken that path",
            "start both again, each with a QMP socket of its own",
        )
    elif facts.probe.status != "running":
        yield f"it is {facts.probe.status}, not running", "let it run, or shut it down"


def _monitor(pid: int, facts: QemuFacts, saved: bool) -> Iterator[tuple[str, str]]:
    yield from _mute(pid, facts)
    if facts.probe is not None and facts.probe.pid == pid:
        for problem in (*facts.probe.problems, *(facts.probe.unsaveable if saved else ())):
            yield problem, "or leave this host out"
        yield from facts.probe.moved
        yield from facts.replaced
