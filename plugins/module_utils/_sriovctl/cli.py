# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``sriovctl``, the node program: the engine for people, boot units and other programs on the host itself."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .._document.document import HostDocument, validate
from .._document.selector import from_text
from .._engine.converge import Report, converge
from .._engine.update_guard import live_update_phase, refuse_during_update
from .._model.errors import BadInputError, RefusedError, SriovError
from .._report.table import step_lines
from .._system import process
from .._system.durable import write_text
from .._system.process import Run
from .._system.sysfs import Sysfs

DOCUMENT = "/etc/kvmfleet-sriov/host.json"
WAIT_S = 60.0
FAILED, BAD_INPUT, REFUSED = 1, 2, 3
EXITS = """exit status:
  0  done, or there is nothing to do
  1  the kernel or a program failed; PFs that failed were taken back to what was found;
     with --boot also: a PF did not come, or single PFs failed in any way, all others are as declared
  2  wrong arguments or host document; nothing was changed
  3  refused, because it would harm what is in use; nothing was changed
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status of one command, see `EXITS`."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.func(arguments))
    except SriovError as error:
        print(f"sriovctl: {error}", file=sys.stderr)
        return {BadInputError: BAD_INPUT, RefusedError: REFUSED}.get(type(error), FAILED)
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sriovctl", description="SR-IOV state of this host: read, plan, apply.", epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--root", default="/", metavar="DIR", help="act on the tree below DIR instead of this host")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    status = _command(commands, "status", _status, "show PFs, who uses their VFs, and what differs from the document")
    status.add_argument("--vfs", action="store_true", help="show VFs, too; with --json, they are always there")
    status.add_argument(
        "pf", nargs="*",
        help="only these, with VFs: PCI address, network interface, or a selector such as driver=ice,all=true",
    )  # fmt: skip
    for name, func, text in (
        ("plan", _plan, "show the steps that would bring this host to its document"),
        ("apply", _apply, "bring this host to its document"),
    ):
        command = _command(commands, name, func, text)
        command.add_argument("file", nargs="?", help=f"host document, JSON, - for stdin (default {DOCUMENT})")
        command.add_argument("--force", action="store_true", help="take away VFs in use")
        command.add_argument("--allow-disruptive", action="store_true", help="let the number of VFs go through 0")
    command.add_argument("--metrics", metavar="FILE", help="write metrics to FILE afterwards, also when it failed")
    command.add_argument(
        "--boot", action="store_true", help="each PF as soon as it is there; leave VFs to a live update under way"
    )
    command.add_argument(
        "--wait", type=float, default=WAIT_S, metavar="S", help="with --boot, for late PFs (%(default)g)"
    )
    command.add_argument("--pf", metavar="ADDRESS", help="with --boot, only this PF, which has just got its driver")
    metrics = commands.add_parser("metrics", help="show metrics of this host as Prometheus text")
    metrics.add_argument("--output", metavar="FILE", help="replace FILE in one step instead, mode 0644")
    metrics.set_defaults(func=_metrics_of)
    command = _command(commands, "export", _export, "write this host as it is as a host document")
    command.add_argument("--yaml", action="store_true", help="as the variable sriov_pfs of the role, for an inventory")
    command.add_argument(
        "pf", nargs="*", help="only these, as for status; by default those that are not as the kernel starts with them"
    )
    _add_live_commands(commands)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    func: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(func=func)
    return command


def _add_live_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Commands of the live update, ``resume`` among them; their file is imported late, because it is large."""
    from . import live_update_cli

    live_update_cli.add_commands(commands)


def _host(arguments: argparse.Namespace) -> tuple[Sysfs, Run]:
    """Below another root no program is run: it would act on this machine."""
    own = arguments.root.rstrip("/") == ""
    return Sysfs(arguments.root), process.run if own else process.refuse


def _status(arguments: argparse.Namespace) -> int:
    from .._report import colour, info, status_text  # late: a program in a zip is compiled as it starts
    from .._report import status as _status

    sysfs, run = _host(arguments)
    names = [from_text(text) for text in arguments.pf]
    vfs = arguments.vfs or bool(names)
    extent = info.FULL if vfs or arguments.json else info.SUMMARY
    found = _status.look(sysfs, run, names or None, _declared(sysfs), extent)
    paint = colour.paint_for(sys.stdout, os.environ)
    _print(arguments, found, status_text.status_lines(found, vfs=vfs, paint=paint))
    return 0


def _plan(arguments: argparse.Namespace) -> int:
    sysfs, run = _host(arguments)
    report = _converge(arguments, sysfs, run, _read(sysfs, arguments.file), check=True)
    _print(
        arguments,
        report.to_dict(),
        _report_lines(report, "Nothing was changed." if report.plan.changed else "Nothing to do."),
    )
    return 0


def _export(arguments: argparse.Namespace) -> int:
    """The document goes to stdout, what it cannot say to stderr."""
    from .._report.export import export, yaml_lines  # late, as above
    from .._report.info import gather

    sysfs, run = _host(arguments)
    names = [from_text(text) for text in arguments.pf]
    pfs = gather(sysfs, run, names or None, properties=run is not process.refuse)
    found = export(pfs, untouched=bool(names))
    unread = ["properties of VFs cannot be read below another root"] if run is process.refuse else []
    for notice in (*unread, *found.notices):
        print(f"sriovctl: note: {notice}", file=sys.stderr)
    text = yaml_lines(found.document) if arguments.yaml else [json.dumps(found.document.to_dict(), indent=2)]
    print("\n".join(text))
    return 0


def _apply(arguments: argparse.Namespace) -> int:
    from .._engine.last_apply import recorded  # late, as above

    sysfs, run = _host(arguments)
    if arguments.pf and not arguments.boot:
        raise BadInputError("--pf is for --boot; without it, all of the document is applied")
    phase = live_update_phase(sysfs) if arguments.boot else None
    if phase is not None:
        lines = [f"Nothing done: a live update is under way ({phase})."]
        _print(arguments, {"changed": False, "phase": phase}, lines)
        return 0
    try:
        if arguments.pf:
            _bring(sysfs, run, arguments)
        else:
            recorded(sysfs, lambda: _bring(sysfs, run, arguments))
    finally:
        if arguments.metrics:
            _leave_metrics(sysfs, run, arguments.metrics)
    return 0


def _converge(
    arguments: argparse.Namespace, sysfs: Sysfs, run: Run, document: HostDocument, check: bool = False
) -> Report:
    force, disruptive = arguments.force, arguments.allow_disruptive
    return converge(sysfs, run, document, force=force, allow_disruptive=disruptive, check=check)


def _bring(sysfs: Sysfs, run: Run, arguments: argparse.Namespace) -> None:
    document = _read(sysfs, arguments.file)
    if arguments.boot:
        _bring_at_boot(sysfs, run, arguments, document)
        return
    refuse_during_update(sysfs)
    _tell(arguments, _converge(arguments, sysfs, run, document))


def _bring_at_boot(sysfs: Sysfs, run: Run, arguments: argparse.Namespace, document: HostDocument) -> None:
    """The journal gets each report at once, JSON is one for all."""
    from .boot_apply import BootApply, merged  # late, as above

    def bring(part: HostDocument) -> Report:
        return _converge(arguments, sysfs, run, part)

    def tell(report: Report) -> None:
        reports.append(report)
        if not arguments.json:
            _tell(arguments, report)

    def say(text: str) -> None:
        print(f"sriovctl: {text}", file=sys.stderr, flush=True)

    reports: list[Report] = []
    BootApply(sysfs, run, bring, tell, say, arguments.pf).apply(document, arguments.wait)
    if arguments.json or not reports:
        _tell(arguments, merged(reports or [bring(HostDocument())]))


def _tell(arguments: argparse.Namespace, report: Report) -> None:
    took = f"Done in {report.seconds:.3f} s." if report.plan.changed else "Nothing to do."
    _print(arguments, report.to_dict(), _report_lines(report, took))


def _leave_metrics(sysfs: Sysfs, run: Run, file: str) -> None:
    """What became of the host is told by the exit status; a file that cannot be written is only mentioned."""
    try:
        write_text(file, _metrics_text(sysfs, run), 0o644)
    except SriovError as error:
        print(f"sriovctl: no metrics: {error}", file=sys.stderr)


def _metrics_of(arguments: argparse.Namespace) -> int:
    text = _metrics_text(*_host(arguments))
    if arguments.output:
        write_text(arguments.output, text, 0o644)
    else:
        print(text, end="")
    return 0


def _metrics_text(sysfs: Sysfs, run: Run) -> str:
    """Against the host document, whatever was applied last; what cannot be told goes to stderr."""
    from .._report.metrics import render
    from .._report.metrics_facts import collect

    document, problem = _declared(sysfs)
    facts = collect(sysfs, run, document, False if problem else None)
    for note in [problem] if problem else facts.notes:
        print(f"sriovctl: note: {note}", file=sys.stderr)
    return render(facts)


def _declared(sysfs: Sysfs) -> tuple[HostDocument | None, str | None]:
    """The host document, or what is wrong with it; neither on a host without one."""
    if not sysfs.exists(DOCUMENT):
        return None, None
    try:
        return _read(sysfs, None), None
    except BadInputError as error:
        return None, str(error)


def _read(sysfs: Sysfs, file: str | None) -> HostDocument:
    """The host document; ``file`` is a path of this machine, the default one is below the root."""
    path = file or sysfs.real(DOCUMENT)
    try:
        if path == "-":
            return validate(json.load(sys.stdin))
        with open(path, encoding="utf-8") as stream:
            return validate(json.load(stream))
    except OSError as error:
        raise BadInputError(f"cannot read the host document {path}: {error.strerror}") from error
    except ValueError as error:
        raise BadInputError(f"{path} is not JSON: {error}") from error


def _report_lines(report: Report, end: str) -> list[str]:
    shown = report.to_dict()
    return [*step_lines(shown["steps"]), *(f"Note: {note}" for note in shown["notes"]), end]


def _print(arguments: argparse.Namespace, data: dict[str, Any], lines: Sequence[str]) -> None:
    print(json.dumps(data, indent=2) if arguments.json else "\n".join(lines), flush=True)
