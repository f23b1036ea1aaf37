"""``python -m lab``: emulated hypervisors on this machine."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from .faults import run as faults
from .fleet import fleet, operations, testbed
from .images import rootfs
from .kernels import evidence, series
from .kernels.base import DEFAULT
from .kernels.flavour import STANDARD
from .machine import host
from .paths import HERE
from .progress import LabError
from .scenarios import conformance, demo, kills, rehearse

SWITCHES = {
    "--keep": (
        ("try", "demo", "molecule", "conformance", "faults", "rehearse"),
        "leave the fleet running; played hosts until the end of input",
    ),
    "--fresh": (
        ("conformance", "test-kernels", "kernel-bisect", "faults"),
        "also what is on record and has not changed",
    ),
    "--headers": (("build",), "also the kernels' headers, for test modules"),
}
"""Options without a value: the commands that take them, and their help."""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, function, text in (
        (
            "build",
            _build,
            "build root file system, boot disk, guest image, collection and kernels, or take them from the cache",
        ),
        ("up", _up, "boot every host of a fleet, each into its own kernel, and write its inventory"),
        (
            "vms",
            _start_vms,
            "start the nested guests of a fleet (their VFs must be declared) and wait for their heartbeats",
        ),
        ("down", _down, "stop a fleet"),
        ("status", _status, "what runs"),
        ("try", _try, "the main jobs on three played hosts: no root, no VM, a minute"),
        ("demo", _demo, "two hypervisors, the whole way to the report of their live update"),
        ("kills", _kills, "kill ansible-playbook in every phase of one host's live update"),
        ("rehearse", _rehearse, "the playbook rehearse in mode boot: refused, interrupted, run to its end"),
        (
            "faults",
            _faults,
            "faults of live updates and kernels that are tried, on a real one; without a valid result in tests/faults/",
        ),
        (
            "conformance",
            _conformance,
            "the engine's conformance cases, and a sample of the kernel's, on real stock and patched kernels",
        ),
        (
            "test-kernels",
            _test_kernels,
            "those without a valid result in kernel/EVIDENCE.json, on all flavours",
        ),
        ("kernel-check", _kernel_check, "whether the series is clean and applies exactly"),
        (
            "kernel-bisect",
            _kernel_bisect,
            "build it after each patch from the first changed one on; recorded there, too",
        ),
        ("evidence", _evidence, "what is recorded there; fails when something was changed since"),
        ("molecule", _molecule, "molecule's scenarios on the test fleet"),
        ("ssh", _ssh, "a shell, or a command, on one host"),
        ("console", _console, "follow the serial console of one host, from its first line"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=function)
        if name in ("up", "vms", "down", "ssh", "console"):
            command.add_argument("fleet", help="a fleet of lab/fleets/")
        if name in ("ssh", "console"):
            command.add_argument("host")
        for option, (names, text) in SWITCHES.items():
            if name in names:
                command.add_argument(option, action="store_true", help=text)
        if name == "molecule":
            command.add_argument("scenarios", nargs="*", help="all by default")
        if name in ("conformance", "test-kernels", "faults"):
            command.add_argument(
                "--only", action="append", default=[], metavar="NAME", help="only cases whose name has this"
            )
        if name == "test-kernels":
            command.add_argument("--base", default=DEFAULT.name, help=f"of kernels; {DEFAULT.name} by default")
            command.add_argument(
                "--flavour", action="append", default=[], metavar="NAME", help="only this flavour; may be given again"
            )
        if name == "ssh":
            command.add_argument("command", nargs=argparse.REMAINDER)
    return parser


def _build(options: argparse.Namespace) -> None:
    operations.build(with_headers=STANDARD if options.headers else ())


def _up(options: argparse.Namespace) -> None:
    testbed.ready(options.fleet)


def _start_vms(options: argparse.Namespace) -> None:
    operations.start_vms(options.fleet)


def _try(options: argparse.Namespace) -> None:
    from .played import story  # late: it needs the collection's modules on the path of imports

    story.run(options.keep)


def _demo(options: argparse.Namespace) -> None:
    demo.demo(options.keep)


def _faults(options: argparse.Namespace) -> int:
    return int(bool(faults.faults(options.only, options.fresh, options.keep)))


def _rehearse(options: argparse.Namespace) -> None:
    rehearse.rehearse(options.keep)


def _kills(options: argparse.Namespace) -> None:
    kills.kills()


def _conformance(options: argparse.Namespace) -> int:
    try:
        return conformance.conformance(options.only, options.fresh)
    finally:
        if not options.keep:
            operations.down(conformance.KERNELS)


def _test_kernels(options: argparse.Namespace) -> int:
    try:
        return conformance.test_kernels(options.base, options.flavour, options.only, options.fresh)
    finally:
        operations.down(conformance.KERNELS)


def _kernel_check(options: argparse.Namespace) -> None:
    series.check()


def _kernel_bisect(options: argparse.Namespace) -> None:
    series.bisect(fresh=options.fresh)


def _evidence(options: argparse.Namespace) -> int:
    return evidence.check()


def _molecule(options: argparse.Namespace) -> int:
    return testbed.molecule(options.scenarios, options.keep)


def _down(options: argparse.Namespace) -> None:
    operations.down(options.fleet)


def _status(options: argparse.Namespace) -> None:
    for name in sorted(path.stem for path in (HERE / "fleets").glob("*.yml")):
        for entry in host.running(fleet.load(name), rootfs.ssh_key()):
            pid = entry.pid()
            state = f"runs, pid {pid}, ssh port {entry.ssh.port}" if pid else "down"
            vfs = sum(pf.vfs for pf in entry.host.pfs)
            print(
                f"{name:8} {entry.host.name:8} {len(entry.host.pfs)} PFs {vfs} VFs {len(entry.host.vms)} VMs  {state}"
            )


def _one(options: argparse.Namespace) -> host.Running:
    wanted = fleet.load(options.fleet)
    return host.Running(wanted.name, wanted.host(options.host), rootfs.ssh_key())


def _ssh(options: argparse.Namespace) -> int:
    return subprocess.run(_one(options).ssh.argv(*options.command)).returncode


def _console(options: argparse.Namespace) -> None:
    os.execvp("tail", ["tail", "-n", "+1", "-F", str(_one(options).folder / "console.log")])
