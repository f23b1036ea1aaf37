# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry point of ``sriovctl``, the node program: commands, arguments, exit status.

Python compiles a program in a zip file at each start, so each command imports what it needs when it is called.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from .._model.deadlines import BOOT_WAIT_S
from .._model.errors import BadInputError, RefusedError, SriovError
from .._model.paths import HOST_DOCUMENT
from .output import BAD_INPUT, FAILED, REFUSED, remark

EXITS = """exit status:
  0  done, or there is nothing to do
  1  the kernel or a program failed; PFs that failed were taken back to their previous state;
     with --boot also: a PF did not come, or single PFs failed in any way, all others are as declared
  2  wrong arguments or host document; nothing was changed
  3  refused, because it would harm what is in use; nothing was changed
  4  with boot-guard: the kernel that was tried has failed, or stays though it is not well
"""

VERSION = "0.1.0"
"""The collection's version, as in galaxy.yml, which hosts do not have."""

_Commands = argparse._SubParsersAction
_Handler = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status, see `EXITS`."""
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.handler(arguments))
    except SriovError as error:
        remark(f"sriovctl: {error}")
        return {BadInputError: BAD_INPUT, RefusedError: REFUSED}.get(type(error), FAILED)
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED


def parser() -> argparse.ArgumentParser:
    """Parser of all commands; each leaves its handler in ``handler``."""
    program = argparse.ArgumentParser(
        prog="sriovctl", description="SR-IOV state of this host: read, plan, apply.", epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    program.add_argument("--root", default="/", metavar="DIR", help="act on the tree below DIR instead of this host")
    program.add_argument("--version", action="version", version=f"sriovctl of kvmfleet.sriov {VERSION}")
    commands = program.add_subparsers(metavar="COMMAND", required=True)
    for add in (
        _add_status,
        _add_check,
        _add_plan,
        _add_apply,
        _add_metrics,
        _add_export,
        _add_resume,
        _add_live_update,
        _add_guard,
    ):
        add(commands)
    return program


def _command(
    commands: _Commands[argparse.ArgumentParser], name: str, handler: _Handler, text: str, json: bool = False
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    command.set_defaults(handler=handler)
    if json:
        command.add_argument("--json", action="store_true", help="print JSON")
    return command


def _add_status(commands: _Commands[argparse.ArgumentParser]) -> None:
    def handler(arguments: argparse.Namespace) -> int:
        from . import status_command

        return status_command.status(arguments)

    text = "show PFs, who uses their VFs, and what differs from the document"
    command = _command(commands, "status", handler, text, json=True)
    command.add_argument("--vfs", action="store_true", help="show VFs, too; with --json, they are always there")
    command.add_argument(
        "pf", nargs="*",
        help="only these, with VFs: PCI address, network interface, or a selector such as driver=ice,all=true",
    )  # fmt: skip


def _add_check(commands: _Commands[argparse.ArgumentParser]) -> None:
    def handler(arguments: argparse.Namespace) -> int:
        from . import check_command

        return check_command.check(arguments)

    text = "show all mistakes in a host document; needs no host"
    command = _command(commands, "check", handler, text, json=True)
    command.add_argument("file", help="host document, JSON or YAML, or a file of variables with sriov_pfs; - for stdin")


def _add_plan(commands: _Commands[argparse.ArgumentParser]) -> None:
    def handler(arguments: argparse.Namespace) -> int:
        from . import plan_command

        return plan_command.plan(arguments)

    text = "show the steps that would bring this host to its document"
    _add_document(_command(commands, "plan", handler, text, json=True))


def _add_apply(commands: _Commands[argparse.ArgumentParser]) -> None:
    def handler(arguments: argparse.Namespace) -> int:
        from . import apply_command

        return apply_command.apply(arguments)

    command = _command(commands, "apply", handler, "bring this host to its document", json=True)
    _add_document(command)
    command.add_argument("--metrics", metavar="FILE", help="write metrics to FILE afterwards, also when it failed")
    command.add_argument(
        "--boot", action="store_true", help="each PF as soon as it is there; leave VFs to a live update under way"
    )
    command.add_argument(
        "--wait", type=float, default=BOOT_WAIT_S, metavar="S", help="with --boot, for late PFs (%(default)g)"
    )
    command.add_argument("--pf", metavar="ADDRESS", help="with --boot, only this PF, which has just got its driver")


def _add_document(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", nargs="?", help=f"host document, JSON, - for stdin (default {HOST_DOCUMENT})")
    command.add_argument("--full", action="store_true", help="show VFs one by one, not by ranges")
    command.add_argument("--diff", action="store_true", help="with --json, the state before and after, too")
    command.add_argument("--force", action="store_true", help="take away VFs in use")
    command.add_argument("--allow-disruptive", action="store_true", help="allow disabling all VFs of a PF first")


def _add_metrics(commands: _Commands[argparse.ArgumentParser]) -> None:
    def handler(arguments: argparse.Namespace) -> int:
        from . import metrics_command

        return metrics_command.metrics(arguments)

    command = _command(commands, "metrics", handler, "show metrics of this host as Prometheus text")
    command.add_argument("--output", metavar="FILE", help="replace FILE in one step instead, mode 0644")


def _add_export(commands: _Commands[argparse.ArgumentParser]) -> None:
    def handler(arguments: argparse.Namespace) -> int:
        from . import export_command

        return export_command.export(arguments)

    command = _command(commands, "export", handler, "write this host as it is as a host document", json=True)
    command.add_argument("--yaml", action="store_true", help="as the variable sriov_pfs of the role, for an inventory")
    command.add_argument(
        "pf", nargs="*", help="only these, as for status; by default those that are not as the kernel starts with them"
    )


def _add_resume(commands: _Commands[argparse.ArgumentParser]) -> None:
    def handler(arguments: argparse.Namespace) -> int:
        from . import resume_command

        return resume_command.resume(arguments)

    _command(commands, "resume", handler, "after a kexec: give VMs their VFs and bring them back")


def _add_live_update(commands: _Commands[argparse.ArgumentParser]) -> None:
    def handler(arguments: argparse.Namespace) -> int:
        from . import live_update_command

        return live_update_command.live_update(arguments)

    command = _command(commands, "live-update", handler, "the live update of this host")
    steps = command.add_subparsers(metavar="STEP", required=True, dest="step")
    _command(steps, "run", handler, "save all VMs and start the loaded kernel (unit kvmfleet-live-update)")
    _command(steps, "recover", handler, "bring VMs back after a run that ended before the kexec")
    status = _command(steps, "status", handler, "show where the live update of this host stands")
    status.add_argument("--json", action="store_true", help="print status.json")
    _command(steps, "result", handler, "print what the last live update did, as JSON")
    restore = _command(steps, "restore", handler, "bring saved VMs back, on whatever kernel this is")
    restore.add_argument("vm", nargs="*", help="only these, by name")
    restore.add_argument(
        "--confirm-not-elsewhere", action="store_true",
        help="the VMs named here run nowhere else: in place of an update's hook, where it has none",
    )  # fmt: skip
    forget = _command(steps, "forget", handler, "forget the update, once all its VMs run, or single VMs that do")
    forget.add_argument("vm", nargs="*", help="only these, by name: the update and its other VMs stay")
    forget.add_argument(
        "--discard-memory", action="append", default=[], metavar="VM", help="give up its memory; kept aside for 7 days"
    )
    for command in (restore, forget):
        command.add_argument("--take-over", action="store_true", help="also where somebody else has reserved the host")
    _command(steps, "abandon", handler, "others may start its VMs: start none here without a confirmation")
    _command(steps, "stay", handler, "end an interrupted migration: VMs that stay here get their VFs again")
    feed = _command(steps, "feed", handler, "feed a watchdog that nobody can stop (unit kvmfleet-sriov-watchdog)")
    feed.add_argument("watchdog", help="its name, such as watchdog0")
    feed.add_argument("seconds", type=int, help="its timeout")
    _command(steps, "watch", handler, "complete starts of saved VMs by others (unit kvmfleet-live-update-watch)")
    _command(steps, "come-back", handler, "second attempt, later in the boot (unit kvmfleet-sriov-come-back)")


def _add_guard(commands: _Commands[argparse.ArgumentParser]) -> None:
    def handler(arguments: argparse.Namespace) -> int:
        from . import boot_guard_command

        return boot_guard_command.guard(arguments)

    text = "judge a kernel that is tried once, and go back (unit kvmfleet-sriov-boot-guard)"
    _command(commands, "boot-guard", handler, text)
