"""The lab's kernels, by role ``kernel_build``: Debian's source as it is, with the series, and that with checkers."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..fleet import ansible
from ..paths import HERE, REPOSITORY, cache
from ..progress import LabError, run, step

CONFIGS = REPOSITORY / "kernel" / "configs"


@dataclass(frozen=True)
class Flavour:
    """``configs``: files of kernel/configs/, merged in order; ``localversion``: the end of the release string."""

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
    with step(f"kernels {', '.join(names)}, by role kernel_build"):
        _build(names, folder(""), headers=False)


def headers(flavour: str) -> Path:
    """The package with the headers of a flavour, which its modules are compiled with.

    Apart from what hosts get, which is all packages of a manifest. Made from the same source, series and configuration,
    so it fits; the first time it takes a few minutes, for the role makes the kernel again with it.
    """
    target = cache() / "headers"
    with step(f"headers of kernel {flavour}, by role kernel_build"):
        _build((flavour,), target, headers=True)
    manifest = json.loads((target / flavour / "manifest.json").read_text())
    wanted = f"linux-headers-{manifest['release']}"
    (entry,) = (package for package in manifest["packages"] if package["name"] == wanted)
    return target / flavour / str(entry["file"])


def _build(names: tuple[str, ...], target: Path, *, headers: bool) -> None:
    flavours = [
        {
            "name": name,
            "series": FLAVOURS[name].series,
            "localversion": FLAVOURS[name].localversion,
            "config": [str(CONFIGS / config) for config in FLAVOURS[name].configs],
        }
        for name in names
    ]
    variables = {"lab_kernels": str(target), "lab_flavours": flavours, "lab_headers": headers}
    ansible.playbook(HERE / "playbooks" / "kernels.yml", None, "-e", json.dumps(variables))


def built(flavour: str) -> Kernel:
    manifest = folder(flavour) / "manifest.json"
    if not manifest.exists():
        raise LabError(f"the {flavour} kernel is not built yet: run `python -m lab build`")
    return Kernel(flavour, manifest.parent, json.loads(manifest.read_text())["release"])
