"""Time the VF stage of a resume, on each side.

It lasts until the VMs of a host with 20 PFs x 125 VFs can be restored. The sides: stock, the series by the engine, and
the floor.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import playbook
from lab.fleet import inventory
from lab.fleet.fleet import Fleet, load
from lab.images import grub, rootfs
from lab.images.kernel_image import TICK
from lab.kernels import packages
from lab.machine import host
from lab.progress import LabError, run, step

HERE = Path(__file__).resolve().parent
FLEET = "bench"
USED = 100
SIDES = ("stock", "series", "floor")


def used_ids(vfs: int, count: int) -> list[int]:
    """``count`` ids, spread evenly over those of all VFs.

    They are the middles of as many equal parts of 0..vfs-1.
    """
    return [int((part + 0.5) * vfs / count) for part in range(count)]


def orders(runs: int) -> Iterator[tuple[str, ...]]:
    """The order of the sides in each round, rotating.

    So no side always comes first.
    """
    for number in range(runs):
        turn = number % len(SIDES)
        yield SIDES[turn:] + SIDES[:turn]


@dataclass(frozen=True)
class Stage:
    """The prepared hosts: one disk per kernel flavour.

    Every run boots afresh from it.
    """

    fleet: Fleet
    root: rootfs.RootFs

    def host_of(self, side: str) -> host.Running:
        return host.Running(
            self.fleet.name, self.fleet.host("stock" if side == "stock" else "series"), self.root.ssh_key
        )

    def prepared(self, side: str) -> Path:
        return self.host_of(side).folder / "root.qcow2"

    @contextlib.contextmanager
    def booted(self, side: str) -> Iterator[host.Running]:
        """Boot a host on a throw-away overlay of its disk."""
        target = self.host_of(side)
        disk = target.folder / "run.qcow2"
        run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", self.prepared(side), disk])
        (target.folder / "qemu.pid").unlink(missing_ok=True)
        host.boot(target, self.root, disk)
        try:
            target.ssh.wait()
            release = target.ssh.run("uname -r").strip()
            if release != packages.built(target.host.name).release:
                raise LabError(f"the host of side {side} runs {release}")
            yield target
        finally:
            host.stop(target)
            disk.unlink()


def prepare() -> Stage:
    """Prepare both hosts: deploy kernels by the role, bring the tools.

    Each host boots once on Debian's kernel, and its own kernel becomes the default.
    """
    stage = Stage(load(FLEET), rootfs.build())
    hosts = host.running(stage.fleet, stage.root.ssh_key)
    with tempfile.TemporaryDirectory() as scratch, step("prepare the two hosts of the measurement"):
        program = Path(scratch) / "vf_stage"
        run(["gcc", "-O2", "-static", "-pthread", "-o", program, HERE / "vf_stage.c"])
        for entry in hosts:
            host.start(entry, stage.root)
        for entry in hosts:
            entry.ssh.wait()
            entry.ssh.put(program, "/root/vf_stage")
            entry.ssh.put(HERE / "engine_stage.py", "/root/engine_stage.py")
        playbook.run(
            HERE / "prepare.yml", inventory.write(stage.fleet, hosts), "-e", f"lab_kernels={packages.folder('')}"
        )
        for entry in hosts:
            release = packages.built(entry.host.name).release
            settings = f"saved_entry='{grub.entry(release)}' extra_arguments='{TICK}'"
            choose = f"grub-editenv /boot/grub/grubenv set {settings}"
            entry.ssh.run(f"chmod +x /root/vf_stage; {choose}; sync; mount -o remount,ro / || true")
            host.stop(entry)
    return stage


def measure(target: host.Running, side: str) -> dict[str, float]:
    """Measure one side, on a host that is up.

    Nobody has enabled its VFs. Raises `LabError` unless the declared ones are there afterwards.
    """
    pfs = target.host.pfs
    addresses = " ".join(pf.address for pf in pfs)
    number, ids = pfs[0].vfs, ",".join(map(str, used_ids(pfs[0].vfs, USED // len(pfs))))
    target.ssh.run(
        f"for pf in {addresses}; do echo 0 >/sys/bus/pci/devices/$pf/sriov_drivers_autoprobe; done;"
        "systemctl is-system-running --wait || true; sleep 2"
    )
    if side == "series":
        command = "PYTHONPATH=/usr/local/sbin/sriovctl python3 /root/engine_stage.py"
    else:
        command = f"/root/vf_stage {'stock' if side == 'stock' else 'series'}"
    answer: dict[str, float] = json.loads(target.ssh.run(f"{command} {number} {ids} {addresses}"))
    wanted = number * len(pfs) if side == "stock" else USED
    present = int(target.ssh.run("ls -d /sys/bus/pci/devices/*/physfn | wc -l"))
    if present != wanted:
        raise LabError(f"side {side}: {present} VFs are present, not {wanted}")
    return answer


def results(samples: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """The keys of build/bench/results.json: seconds per run, ratios of medians."""
    stock_all = [one["written_s"] for one in samples["stock"]]
    stock_used = [one["used_s"] for one in samples["stock"]]
    series = [one["engine_s"] for one in samples["series"]]
    floor = [one["written_s"] for one in samples["floor"]]
    middle = statistics.median
    return {
        "stock_all_s": stock_all,
        "stock_used_s": stock_used,
        "series_s": series,
        "floor_s": floor,
        "stock_over_series": middle(stock_all) / middle(series),
        "stock_used_over_series": middle(stock_used) / middle(series),
        "series_over_floor": middle(series) / middle(floor),
        "series_with_process_s": [one["process_s"] for one in samples["series"]],
    }
