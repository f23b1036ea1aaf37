"""The lab's kernels, by role ``kernel_build``: Debian's source as it is, with the series, and that with checkers."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import ansible
from .paths import HERE, cache
from .progress import LabError, run, step

CONFIGS = HERE / "kernel"


@dataclass(frozen=True)
class Flavour:
    """``configs``: files of lab/kernel/, merged in order; ``localversion``: the end of the release string."""

    name: str
    series: str
    localversion: str
    configs: tuple[str, ...] = ("hypervisor-6.12.config",)


FLAVOURS = {
    flavour.name: flavour
    for flavour in (
        Flavour("stock", "", "-kvmfleet-stock"),
        Flavour("series", "6.12", "-kvmfleet"),
        Flavour("debug", "6.12", "-kvmfleet-debug", ("hypervisor-6.12.config", "debug-6.12.config")),
    )
}
STANDARD = ("stock", "series")
"""What the demo, the tests and the measurements run on."""


@dataclass(frozen=True)
class Kernel:
    """``folder`` holds packages and manifest.json, ``release`` is what ``uname -r`` says."""

    flavour: str
    folder: Path
    release: str

    @property
    def image(self) -> Path:
        """The bzImage, taken out of the package."""
        target = self.folder / f"vmlinuz-{self.release}"
        package = next(self.folder.glob(f"linux-image-{self.release}_*.deb"))
        if not target.exists() or target.stat().st_mtime < package.stat().st_mtime:
            with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
                run(["dpkg-deb", "-x", package, scratch])
                (Path(scratch) / "boot" / target.name).rename(target)
        return target


def folder(flavour: str) -> Path:
    return cache() / "kernels" / flavour


def build(names: tuple[str, ...] = STANDARD) -> None:
    """Build flavours, or take them from the role's cache (ten minutes on two cores the first time)."""
    flavours = [
        {
            "name": name,
            "series": FLAVOURS[name].series,
            "localversion": FLAVOURS[name].localversion,
            "config": [str(CONFIGS / config) for config in FLAVOURS[name].configs],
        }
        for name in names
    ]
    with step(f"kernels {', '.join(names)}, by role kernel_build"):
        variables = {"lab_kernels": str(folder("")), "lab_flavours": flavours}
        ansible.playbook(HERE / "playbooks" / "kernels.yml", None, "-e", json.dumps(variables))


def built(flavour: str) -> Kernel:
    manifest = folder(flavour) / "manifest.json"
    if not manifest.exists():
        raise LabError(f"the {flavour} kernel is not built yet: run `python -m lab build`")
    return Kernel(flavour, manifest.parent, json.loads(manifest.read_text())["release"])
