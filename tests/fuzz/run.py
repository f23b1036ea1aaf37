# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make fuzz`: many inputs over all targets, with a fixed seed."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from hypothesis import HealthCheck, given, seed, settings

from . import targets

SEED = 20261129


def fuzz(target: targets.Target, number: int) -> None:
    """Try ``number`` inputs; raises what the first bad one raised, made small."""

    @seed(SEED)
    @settings(max_examples=number, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(target.inputs)
    def each(value: Any) -> None:  # noqa: ANN401 - any input
        targets.judge(target, value)

    each()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Try inputs nobody meant.")
    parser.add_argument("--inputs", type=int, default=100_000, help="over all targets (%(default)s)")
    parser.add_argument("--only", default="", help="targets with this in their name")
    given_ = parser.parse_args(arguments)
    chosen = [one for one in targets.TARGETS if given_.only in one.name]
    failed = 0
    for target in chosen:
        begin, number = time.monotonic(), -(-given_.inputs // len(chosen))
        try:
            fuzz(target, number)
        except Exception as error:  # whatever it is, the other targets are tried
            failed += 1
            print(f"failed: {target.name}: {type(error).__name__}: {error}"[:2000])
        else:
            print(f"passed: {target.name}: {number} inputs in {time.monotonic() - begin:.0f} s")
    print(f"fuzz: {len(chosen) - failed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
