"""The lab's kernels, by role ``kernel_build``: Debian's source as it is (``stock``), with the series (``series``)."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import ansible
from .paths import HERE, cache
from .progress import LabError, run, step

FLAVOURS = ("stock", "series")
CONFIG = HERE / "kernel" / "hypervisor-6.12.config"


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


def build() -> None:
    """Build every flavour, or take it from the role's cache (ten minutes on two cores the first time)."""
    with step("kernels, by role kernel_build"):
        words = ["-e", f"lab_kernels={folder('')}", "-e", f"lab_kernel_config={CONFIG}"]
        ansible.playbook(HERE / "playbooks" / "kernels.yml", None, *words)


def built(flavour: str) -> Kernel:
    manifest = folder(flavour) / "manifest.json"
    if not manifest.exists():
        raise LabError(f"the {flavour} kernel is not built yet: run `python -m lab build`")
    return Kernel(flavour, manifest.parent, json.loads(manifest.read_text())["release"])
