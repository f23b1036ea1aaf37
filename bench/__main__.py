"""``python -m bench``: measure, write build/bench/results.json and build/bench/vf_stage.svg."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time

from lab import accelerator, ansible, kernels, rootfs
from lab.paths import REPOSITORY
from lab.progress import LabError, run, say

from . import plot, vf_stage


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="rounds; fewer than 5 are for trying the program out only")
    options = parser.parse_args()
    folder = REPOSITORY / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        ansible.install_collection()
        kernels.build()
        stage = vf_stage.bench(options.runs)
        where = {
            "accelerator": accelerator.accelerator(rootfs.build().kernel),
            "cpus": os.cpu_count(),
            "machine": platform.machine(),
        }
        qemu = run(["qemu-system-x86_64", "--version"]).splitlines()[0]
        facts = where | {
            "qemu": qemu,
            "kernels": {name: kernels.built(name).release for name in kernels.FLAVOURS},
            "time": time.time(),
        }
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    (folder / "results.json").write_text(json.dumps({"vf_stage": stage, "measured_on": facts}, indent=2) + "\n")
    plot.plot(stage, folder / "vf_stage.svg")
    for name in ("stock_over_series", "stock_used_over_series", "series_over_floor"):
        say(f"{name}: {stage[name]:.2f}")
    say(f"written: {folder / 'results.json'}, {folder / 'vf_stage.svg'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
