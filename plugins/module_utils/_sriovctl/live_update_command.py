# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of ``sriovctl`` for the live update.

Each returns 0, or 1 after one line of reason.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from .._live_update import (
    abort,
    act_lock,
    damaged_files,
    ha_hold,
    kept_states,
    machine,
    manifest_copies,
    move,
    reservation,
    save,
    watchdog_unit,
    watching,
    way_out,
)
from .._live_update import resume as _live_resume
from .._live_update.machine import LiveHost
from .._live_update.options import Options, parse
from .._model.errors import BadInputError, BusyError, SriovError
from .._model.paths import HOST_DOCUMENT
from .._model.update_deadlines import ACT_LOCK_S, LATE_S
from .._system import process, update_folder
from .._system.sysfs import Sysfs
from .._system.update_folder import Folder
from . import update_advice, update_table
from .output import answer, remark

APPLY_UNIT = "kvmfleet-sriov-apply.service"


def live_update(arguments: argparse.Namespace) -> int:
    """One step of the live update, named in ``arguments.step``."""
    steps = {
        "run": run, "recover": recover, "status": status, "result": result, "restore": restore, "forget": forget,
        "come-back": come_back, "feed": feed, "watch": watch, "abandon": abandon, "stay": stay,
    }  # fmt: skip
    return steps[arguments.step](arguments)


def resume(args: argparse.Namespace) -> int:
    """Bring VMs back under a kernel that a live update has started.

    The host document is applied afterwards.
    """
    host = _host(args)
    with _alone(host, LATE_S):
        phase = _live_resume.resume(host)
    return _ended(host, phase)


def come_back(args: argparse.Namespace) -> int:
    """Second attempt, or first on another kernel, later in the boot."""
    host = _host(args)
    with _alone(host, LATE_S):
        phase = way_out.come_back(host)
    return _ended(host, phase)


def feed(args: argparse.Namespace) -> int:
    """Feed a watchdog until others do; no act on the live update."""
    if not re.fullmatch(r"watchdog\d{1,4}", args.watchdog, re.ASCII) or not 0 < args.seconds < 1 << 16:
        raise BadInputError(f"'{args.watchdog}' and {args.seconds} s are no watchdog and its timeout")
    watchdog_unit.feed(_host(args), args.watchdog, args.seconds)
    return 0


def watch(args: argparse.Namespace) -> int:
    """Complete starts of saved VMs by others, while there are any."""
    host = _host(args)

    def complete(names: Collection[str]) -> None:
        with _alone(host, LATE_S):
            phase = way_out.restore(host, names)
        _ended(host, phase)

    watching.run(host, complete)
    return 0


def restore(args: argparse.Namespace) -> int:
    """Bring saved VMs back by hand."""
    host = _host(args)
    with _alone(host):
        _take_over(host, args)
        phase = way_out.restore(host, args.vm, args.confirm_not_elsewhere)
    for line in update_table.rows(host.folder.read_result() or {}):
        answer(line)
    return 0 if _ended(host, phase) == 0 or phase == update_folder.ABORTED else 1


def forget(args: argparse.Namespace) -> int:
    """Forget the update, or its VMs; memory is given up by name.

    Where states of others are needed, it is those VMs alone.
    """
    host = _host(args)
    with _alone(host):
        _take_over(host, args)
        others = set(kept_states.needed(host)) - set(args.discard_memory)
        if args.vm or (args.discard_memory and others):
            answer(f"forgotten: {', '.join(way_out.forget_vms(host, args.vm, args.discard_memory))}")
            return 0
        answer("the live update is forgotten" if way_out.forget(host, args.discard_memory) else "no live update")
    return 0


def abandon(args: argparse.Namespace) -> int:
    """Let others start the host's VMs: none is started here any more."""
    host, said = _host(args), "no live update"
    if ha_hold.abandon(host):
        with _alone(host, LATE_S):  # whoever acts ends at its next look
            said = f"the host is abandoned; saved and not running: {', '.join(kept_states.needed(host)) or 'none'}"
    answer(said)
    return 0


def stay(args: argparse.Namespace) -> int:
    """End an interrupted migration: VMs that stay get their VFs again."""
    host = _host(args)
    with _alone(host):
        names = move.stay(host)
    answer(f"stay here, with their VFs: {', '.join(names) or 'none'}")
    return 0


def _ended(host: LiveHost, phase: str | None) -> int:
    if phase is not None:
        _apply_document(host)
    return 0 if phase in (None, update_folder.DONE) else 1


def _take_over(host: LiveHost, args: argparse.Namespace) -> None:
    found = reservation.load(host.folder)
    reservation.require_mine(host.folder, update_advice.me(), host.now(), args.take_over)
    if found is not None and args.take_over:
        host.log(f"taken over: this host was {found}")


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
    host = _host(args)
    with act_lock.held(host.sysfs):
        return 0 if save.run(host) == update_folder.KEXEC else 1


def recover(args: argparse.Namespace) -> int:
    host = _host(args)
    with _alone(host, LATE_S):
        return 0 if abort.recover(host) in (None, update_folder.ABORTED) else 1


def status(args: argparse.Namespace) -> int:
    """Print the status and a table of its phases and VMs.

    ``--json`` prints status.json, or null.
    """
    host = _host(args)
    if damaged_files.found(host) or manifest_copies.damage(host):
        with suppress(BusyError), _alone(host, 0.0):  # whoever acts meanwhile has kept them aside
            pass
    folder = host.folder
    found = folder.read_status()
    if args.json:
        answer(json.dumps(found))
        return 0
    if found is None:
        answer("no live update")
    else:
        answer(f"live update {found['manifest']}: {found['phase']}  {found['message']}".rstrip())
    for line in [*update_table.rows(folder.read_result() or {}), *update_advice.lines(host)]:
        answer(line)
    return 0


@contextmanager
def _alone(host: LiveHost, wait_s: float = ACT_LOCK_S) -> Iterator[None]:
    """Lock acts, and keep damaged files aside before one begins.

    Managers of VMs that it leaves saved may start them.
    """
    with act_lock.held(host.sysfs, wait_s):
        damaged_files.mend(host)
        try:
            yield
        finally:
            watching.begin(host)


def result(args: argparse.Namespace) -> int:
    answer(json.dumps(Folder.of(Sysfs(args.root)).read_result(), indent=1))
    return 0


def _host(args: argparse.Namespace) -> LiveHost:
    """This machine, with the options of its manifest.

    Defaults when that cannot be read: the step itself reports why.
    """
    sysfs = Sysfs(args.root)
    try:
        manifest = manifest_copies.load(Folder.of(sysfs))
        options = parse(manifest.options) if manifest else Options()
    except SriovError:
        options = Options()
    run = process.run if args.root.rstrip("/") == "" else process.refuse
    return machine.real(sysfs, options, remark, run)
