#!/usr/bin/env python3
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the conformance cases on this host's kernel, as root.

Standard library only, Python 3.9 or newer.

    python3 run.py --pf 0000:01:00.0 --pf 0000:02:00.0 --kernel series-6.12 --json rows.json [--only NAME ...]

Layout on the host, any folder:

    *.py  engine/*.py                from tests/conformance/
    kvmfleet_sriov/                  a copy of plugins/module_utils/ with an empty __init__.py
                                     (or $PYTHONPATH holds the node program, which contains the same package)
    selftests/pci_iov/               the series' selftest, with selftests/kselftest/, if it is to run, too
    many_vfs.py  many_vfs.ko         the module built for this kernel, if cases about thousands of VFs are to run

In a checkout without that package the files of plugins/module_utils/ are used. Exit status: 0 every row is pass or an
explained skip, 1 otherwise, 2 bad arguments. The cases change the PFs that are named: do not name one that is in use.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import platform
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
ENGINE = HERE / "engine"
"""Folder of the engine's cases, on which kernel/EVIDENCE.json does not rest."""
sys.path[:0] = [str(HERE), str(ENGINE)]

import listeners  # noqa: E402 - the path is set above
import many_vfs  # noqa: E402 - as before
from harness import Case, Pf, Row, collect, run_case  # noqa: E402 - as before
from kernel_log import KernelLog  # noqa: E402 - as before
from leaks import Leaks  # noqa: E402 - as before


def engine() -> ModuleType:
    """Import the engine's package.

    It is beside this script, on the path, or the checkout's.
    """
    if importlib.util.find_spec("kvmfleet_sriov") is None:
        source = HERE.parents[1] / "plugins" / "module_utils"
        spec = importlib.util.spec_from_loader("kvmfleet_sriov", None, is_package=True)
        if spec is None or not source.is_dir():
            raise SystemExit("run.py: neither the package kvmfleet_sriov nor plugins/module_utils is here")
        package = importlib.util.module_from_spec(spec)
        package.__path__ = [str(source)]
        sys.modules["kvmfleet_sriov"] = package
    return importlib.import_module("kvmfleet_sriov._system.sysfs")


def modules(pattern: str) -> list[ModuleType]:
    """The modules beside this script with such names, sorted.

    Those about the engine are last.
    """
    return [importlib.import_module(path.stem) for folder in (HERE, ENGINE) for path in sorted(folder.glob(pattern))]


def selects(only: list[str], name: str) -> bool:
    """Whether `--only` selects a name.

    It does when nothing was given, a part of this name, or all of it after a `=`.
    """
    return not only or any(word[1:] == name if word.startswith("=") else word in name for word in only)


@dataclass(frozen=True)
class Host:
    """A host: what the rows of a run have in common.

    ``sysfs`` is the engine's, imported by name wherever it lies.
    """

    sysfs: Any
    kernel: str
    log: KernelLog


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="SR-IOV conformance cases", epilog="Run as root on the host itself.")
    parser.add_argument("--pf", action="append", default=[], metavar="ADDR", help="PF to test; may be given again")
    parser.add_argument("--kernel", default=platform.release(), help="name of the kernel in the table")
    parser.add_argument("--json", metavar="OUT", help="write the rows to this file")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="names with this, or =NAME")
    return parser.parse_args(argv)


def table(rows: list[Row]) -> str:
    width = max(len(row.name) for row in rows)
    lines = [
        f"{row.result:5} {row.name:{width}} {row.pf} {row.driver:8} {row.seconds:7.2f} s  {row.reason}" for row in rows
    ]
    count = Counter(row.result for row in rows)
    lines.append(
        f"{count['pass']} pass, {count['fail']} fail, {count['skip']} skip; kernel {rows[0].kernel}, "
        f"interfaces {', '.join(sorted({row.interface for row in rows}))}"
    )
    return "\n".join(lines)


def run_on(host: Host, pfs: Sequence[str], use: Sequence[str], cases: list[Case]) -> Iterator[Row]:
    """Run cases on each PF of ``pfs``.

    They may use the other ones of ``use`` too.
    """
    for address in pfs:
        others = tuple(other for other in use if other != address)
        for one in cases:
            row = run_case(Pf(host.sysfs, address, True, others), one, host.kernel, host.log)
            print(f"{row.result:5} {one.name} {address} {row.reason}", flush=True)
            yield row


def run_all(host: Host, pfs: list[str], cases: list[Case]) -> list[Row]:
    """Run all cases on the given PFs.

    With the module, those about thousands of VFs run on its first PF instead, last.
    """
    many = [one for one in cases if one.vfs >= many_vfs.MANY] if many_vfs.MODULE.exists() else []
    rows = list(run_on(host, pfs, pfs, [one for one in cases if one not in many]))
    if many:
        with many_vfs.there() as more:
            rows += run_on(host, more[:1], more, many)
    return rows


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    sysfs: Any = engine().Sysfs("/")
    cases = [one for one in collect(modules("cases_*.py")) if selects(options.only, one.name)]
    for address in options.pf:
        if not sysfs.exists(f"/sys/bus/pci/devices/{address}/sriov_totalvfs"):
            print(f"run.py: {address} is not a PF of this host", file=sys.stderr)
            return 2
    host, leaks = Host(sysfs, options.kernel, KernelLog()), Leaks()
    with listeners.silenced():
        rows = run_all(host, options.pf, cases)
        if selects(options.only, leaks.case.name):
            rows += run_on(host, options.pf[:1], options.pf, [leaks.case])
    if options.json:
        Path(options.json).write_text(json.dumps([row.as_dict() for row in rows], indent=1) + "\n", encoding="utf-8")
    if not rows:
        print("run.py: no case has such a name, or there is no PF to run it on", file=sys.stderr)
        return 2
    print(table(rows))
    return 1 if any(row.result == "fail" for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
