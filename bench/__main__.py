"""Measure all keys, or one, and write their results (``python -m bench``)."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Collection
from typing import Any

from lab import playbook
from lab.images import rootfs
from lab.kernels import packages
from lab.kernels.flavour import STANDARD
from lab.machine import accelerator
from lab.paths import REPOSITORY
from lab.progress import LabError, run, say

from . import plot, vf_stage
from .keys import KEYS, STEPS, Samples, chosen, sides_of, steps_of

FOLDER = REPOSITORY / "build" / "bench"
RESULTS = FOLDER / "results.json"


def measure(hosts: vf_stage.Stage, keys: Collection[str], runs: int) -> Samples:
    """The samples of each side, one for each round.

    Each round boots a host and runs only the steps that the keys need.
    """
    sides = sides_of(keys)
    samples: Samples = {side: [] for side in vf_stage.SIDES if side in sides}
    for number, order in enumerate(vf_stage.orders(runs), start=1):
        for side in filter(sides.__contains__, order):
            sample: dict[str, float] = {}
            with hosts.booted(side) as target:
                for step in (STEPS[name] for name in steps_of(keys)):
                    sample |= step.measure(target, side) if side in step.sides else {}
            samples[side].append(sample)
            figures = ", ".join(f"{name} {value:.2f}" for name, value in sample.items())
            say(f"round {number} of {runs}: {side}: {figures}")
    return samples


def facts() -> dict[str, Any]:
    """The machine and kernels of the measurement, and its time."""
    return {
        "accelerator": accelerator.accelerator(rootfs.build().kernel),
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "qemu": run(["qemu-system-x86_64", "--version"]).splitlines()[0],
        "kernels": {name: packages.built(name).release for name in STANDARD},
        "time": time.time(),
    }


def merged(old: dict[str, Any], figures: dict[str, Any], on: dict[str, Any]) -> dict[str, Any]:
    """Results with ``figures`` in place of older ones of their keys.

    Each key says what it was measured on.
    """
    return {**old, **{key: {**values, "measured_on": on} for key, values in figures.items()}}


def write(results: dict[str, Any]) -> None:
    """Write results as JSON, with a plot of a measured VF stage."""
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    if "vf_stage" in results:
        plot.plot(results["vf_stage"], FOLDER / "vf_stage.svg")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="rounds; fewer than 5 are for trying the program out only")
    parser.add_argument("--only", default="", metavar="KEY", help="measure one key, and keep the others' results")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        keys = chosen(options.only)
        playbook.install_collection()
        packages.build()
        hosts = vf_stage.prepare()
        samples = measure(hosts, keys, options.runs)
        pfs = len(hosts.host_of("series").host.pfs)
        figures = {key: KEYS[key].results(samples, pfs) for key in keys}
        write(merged(json.loads(RESULTS.read_text()) if RESULTS.exists() else {}, figures, facts()))
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    say(f"hosts and logs: {hosts.host_of('series').folder.parent}")
    for key in keys:
        for name in KEYS[key].figures:
            value = figures[key][name]
            say(f"{key}: {name}: {'within the noise' if value is None else format(value, '.3g')}")
    say(f"written: {RESULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
