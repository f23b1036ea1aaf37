# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of ``sriovctl`` for the live update.

Each returns 0, or 1 after one line of reason.
"""

from __future__ import annotations

import argparse
import json

from .._live_update import abort, machine, manifest_file, save
from .._live_update import resume as _live_resume
from .._live_update.machine import LiveHost
from .._live_update.options import Options, parse
from .._model.errors import SriovError
from .._model.paths import HOST_DOCUMENT
from .._system import process, update_folder
from .._system.sysfs import Sysfs
from .._system.update_folder import Folder
from .output import answer, remark

APPLY_UNIT = "kvmfleet-sriov-apply.service"


def live_update(arguments: argparse.Namespace) -> int:
    """One step of the live update, named in ``arguments.step``."""
    steps = {"run": run, "recover": recover, "status": status, "result": result}
    return steps[arguments.step](arguments)


def resume(args: argparse.Namespace) -> int:
    """Bring VMs back under a kernel that a live update has started.

    The host document is applied afterwards.
    """
    host = _host(args)
    phase = _live_resume.resume(host)
    if phase is not None:
        _apply_document(host)
    return 0 if phase in (None, update_folder.DONE) else 1


def _apply_document(host: LiveHost) -> None:
    """Start the unit that applies the host document.

    At boot it did nothing because of the update. The unit is not active, so that it is started, not restarted: that
    would restart what requires it, such as libvirtd.
    """
    if host.sysfs.exists(HOST_DOCUMENT):
        try:
            host.run(["systemctl", "start", "--no-block", APPLY_UNIT])
        except SriovError as error:
            host.log(str(error))


def run(args: argparse.Namespace) -> int:
    return 0 if save.run(_host(args)) == update_folder.KEXEC else 1


def recover(args: argparse.Namespace) -> int:
    return 0 if abort.recover(_host(args)) in (None, update_folder.ABORTED) else 1


def status(args: argparse.Namespace) -> int:
    """Print the status and a table of its phases and VMs.

    ``--json`` prints status.json, or null.
    """
    folder = Folder.of(Sysfs(args.root))
    found = folder.read_status()
    if args.json:
        answer(json.dumps(found))
        return 0
    if found is None:
        answer("no live update")
        return 0
    answer(f"live update {found['manifest']}: {found['phase']}  {found['message']}".rstrip())
    for line in _table(folder.read_result() or {}):
        answer(line)
    return 0


def result(args: argparse.Namespace) -> int:
    answer(json.dumps(Folder.of(Sysfs(args.root)).read_result(), indent=1))
    return 0


def _table(found: dict[str, list[dict[str, object]]]) -> list[str]:
    """Phases with their seconds, then VMs with their results."""
    lines = []
    for phase in found.get("phases", []):
        start, end = phase["start"], phase["end"]
        seconds = f"{end - start:8.2f} s" if isinstance(start, float) and isinstance(end, float) else "   running"
        lines.append(f"  {phase['name']:<12}{seconds}")
    lines.extend(f"  VM {vm['name']:<20} {vm['result']}  {vm['error'] or ''}".rstrip() for vm in found.get("vms", []))
    return lines


def _host(args: argparse.Namespace) -> LiveHost:
    """This machine, with the options of its manifest.

    Defaults when that cannot be read: the step itself reports why.
    """
    sysfs = Sysfs(args.root)
    try:
        manifest = manifest_file.load(Folder.of(sysfs).path)
        options = parse(manifest.options) if manifest else Options()
    except SriovError:
        options = Options()
    run = process.run if args.root.rstrip("/") == "" else process.refuse
    return machine.real(sysfs, options, remark, run)
