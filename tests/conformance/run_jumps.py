#!/usr/bin/env python3
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the jumps on this host's kernel, as root.

Each has two halves, with a kexec between that is made from outside.

    python3 run_jumps.py --pf 0000:01:00.0 --pf 0000:02:00.0 --kernel series plan [--only NAME ...]
    python3 run_jumps.py (as before) before NUMBER
    ... a kexec of the running kernel into itself with the words of that hop added, e.g. by the lab ...
    python3 run_jumps.py (as before) after NUMBER

`plan` prints JSON: ``hops`` (the kexecs that are needed, in order, each with its ``words``) and ``rows``, which all
count as failed until `after` replaces them; `after` prints the rows again. Layout as run.py says; console.txt, what
the host's console showed during the jump, is searched if it is there. The last hop leaves a kernel behind that
has none of the words. Exit status: 0 unless the program itself fails: the rows tell.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import harness  # noqa: E402 - the path is set above
import jumps  # noqa: E402 - as before
import run  # noqa: E402 - as before
from kernel_log import KernelLog, Line, complaint  # noqa: E402 - as before

STATE = HERE / "jumps.json"
CONSOLE = HERE / "console.txt"
FROZEN = " ext4_journal_check_start+"
"""Words of ext4's warning about writers.

Before the kexec disks are made read-only at once, as by SysRq u.
"""
Kind = TypeVar("Kind", jumps.Jump, harness.Case)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="SR-IOV conformance across kexec", epilog="Run as root on the host.")
    parser.add_argument("--pf", action="append", required=True, metavar="ADDR", help="PF to test; may be given again")
    parser.add_argument("--kernel", default=platform.release(), help="name of the kernel in the table")
    parser.add_argument("step", choices=("plan", "before", "after"))
    parser.add_argument("number", type=int, nargs="?", default=0, help="of the hop, from 0")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="names with this, or =NAME")
    return parser.parse_args(argv)


class Runner:
    """The steps of jumps, for some PFs."""

    def __init__(self, pfs: list[harness.Pf], kernel: str) -> None:
        self.pfs, self.kernel = pfs, kernel
        modules = run.modules("jumps_*.py")
        self.jumps = {one.name: one for one in jumps.collect(modules)}
        self.cases = {one.name: one for one in harness.collect(run.modules("cases_*.py"))}

    def plan(self, only: list[str]) -> jumps.State:
        """Plan rows for all that is selected, and kexecs.

        There are kexecs only for what describes a PF's interface.
        """
        state = jumps.State(str(STATE))
        leaps = [one for one in self.jumps.values() if run.selects(only, one.name)]
        cases = [one for one in self.cases.values() if one.words and run.selects(only, one.name)]
        every: list[jumps.Jump | harness.Case] = [*leaps, *cases]
        for pf in self.pfs:
            for one in every:
                jumps.announce(state, one, pf, self.kernel)
        hops = jumps.plan(self.due(state, leaps), self.due(state, cases))
        state.hops = [jumps.Hop(self.pfs[0].filled(hop.words), hop.jump, hop.cases) for hop in hops]
        state.save()
        return state

    def due(self, state: jumps.State, found: list[Kind]) -> list[Kind]:
        """Jumps and cases in which at least one PF takes part."""
        return [one for one in found if any(jumps.pending(state, one, pf) for pf in self.pfs)]

    def before(self, number: int) -> jumps.State:
        state, log = jumps.State.load(str(STATE)), KernelLog()
        name = state.hops[number].jump
        for pf in self.pfs if name else []:
            jumps.first_half(state, self.jumps[name], pf, self.kernel, log)
        state.save()
        return state

    def after(self, number: int) -> jumps.State:
        """Check the jump, then run the cases of this kernel's words.

        Complaints since the kernel's first line count.
        """
        state, log = jumps.State.load(str(STATE)), KernelLog(boot=True)
        hop, watch = state.hops[number], jumps.both(console(), log)
        for pf in self.pfs if hop.jump else []:
            jumps.second_half(state, self.jumps[hop.jump], pf, self.kernel, watch)
            tell(state.row(hop.jump, pf))
        for pf in self.pfs:
            for name in hop.cases:
                state.put(harness.run_case(pf, self.cases[name], self.kernel, log))
                tell(state.row(name, pf))
        state.save()
        return state


def console() -> str:
    """The first complaint on the console during the jump.

    The console is the old kernel's, too; there is none unless somebody has kept it.
    """
    text = CONSOLE.read_text(encoding="utf-8", errors="replace") if CONSOLE.exists() else ""
    return complaint([Line(0.0, line) for line in text.splitlines() if FROZEN not in line])


def tell(row: harness.Row) -> None:
    print(f"{row.result:5} {row.name} {row.pf} {row.seconds} s {row.reason}", file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    files: Any = run.engine().Sysfs("/")
    pfs = [harness.Pf(files, one, True, tuple({*options.pf} - {one})) for one in options.pf]
    runner = Runner(pfs, options.kernel)
    state = runner.plan(options.only) if options.step == "plan" else getattr(runner, options.step)(options.number)
    rows = [row.as_dict() for row in state.rows.values()]
    json.dump({"hops": [asdict(hop) for hop in state.hops], "rows": rows}, sys.stdout)
    return 0


if __name__ == "__main__":
    if os.geteuid() != 0:
        raise SystemExit("run_jumps.py: run as root")
    raise SystemExit(main())
