"""``python -m bench``: measure, write build/bench/results.json and build/bench/vf_stage.svg."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from typing import Any

from lab import playbook
from lab.images import rootfs
from lab.kernels import packages
from lab.kernels.flavour import STANDARD
from lab.machine import accelerator
from lab.paths import REPOSITORY
from lab.progress import LabError, run, say

from . import config_reads, kexec_stage, plot, unchanged_host, vf_stage

KEY_FIGURES = {
    "vf_stage": ("stock_over_series", "stock_used_over_series", "series_over_floor"),
    "kexec_enumeration": ("stock_per_pf_s", "series_per_pf_s"),
    "vf_stage_kept": ("stock_over_series",),
    "config_reads_per_vf": ("stock", "series"),
    "unchanged_host": ("ratio", "drivers_ratio"),
}


def measure(hosts: vf_stage.Stage, runs: int) -> dict[str, list[dict[str, float]]]:
    """By side, a sample for each round, each on a host that was booted for it.

    The VF stage, jumps, config reads, and with the series checks of a host that is as declared.
    """
    samples: dict[str, list[dict[str, float]]] = {side: [] for side in vf_stage.SIDES}
    for number, order in enumerate(vf_stage.orders(runs), start=1):
        for side in order:
            with hosts.booted(side) as target:
                sample = vf_stage.measure(target, side)
                if side in kexec_stage.SIDES:
                    sample |= kexec_stage.measure(target, side) | config_reads.measure(target, side)
                if side == "series":
                    sample |= unchanged_host.measure(target)
            samples[side].append(sample)
            said = ", ".join(f"{name} {value:.2f}" for name, value in sample.items())
            say(f"round {number} of {runs}: {side}: {said}")
    return samples


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="rounds; fewer than 5 are for trying the program out only")
    options = parser.parse_args()
    folder = REPOSITORY / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        playbook.install_collection()
        packages.build()
        hosts = vf_stage.prepare()
        samples = measure(hosts, options.runs)
        figures: dict[str, Any] = {"vf_stage": vf_stage.results(samples)}
        figures |= kexec_stage.results(samples, len(hosts.host_of("series").host.pfs)) | config_reads.results(samples)
        figures |= unchanged_host.results(samples)
        say(f"hosts and logs: {hosts.host_of('series').folder.parent}")
        where = {
            "accelerator": accelerator.accelerator(rootfs.build().kernel),
            "cpus": os.cpu_count(),
            "machine": platform.machine(),
        }
        qemu = run(["qemu-system-x86_64", "--version"]).splitlines()[0]
        facts = where | {
            "qemu": qemu,
            "kernels": {name: packages.built(name).release for name in STANDARD},
            "time": time.time(),
        }
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    (folder / "results.json").write_text(json.dumps({**figures, "measured_on": facts}, indent=2) + "\n")
    plot.plot(figures["vf_stage"], folder / "vf_stage.svg")
    for key, names in KEY_FIGURES.items():
        for name in names:
            value = figures[key][name]
            say(f"{key}: {name}: {'within the noise' if value is None else format(value, '.3g')}")
    say(f"written: {folder / 'results.json'}, {folder / 'vf_stage.svg'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
