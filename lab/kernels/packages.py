"""The lab's kernels as packages, made by role ``kernel_build``."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .. import playbook
from ..paths import HERE, REPOSITORY, cache, key
from ..progress import LabError, run, step
from .base import CONFIGS
from .flavour import FLAVOURS, GUEST, STANDARD

KEY = ".key"
"""File beside a flavour's packages: the key of their inputs."""
TOOLS = ("sh", "-c", "for tool in gcc ld make pahole; do $tool --version 2>&1 | head -n 1; done")
"""Command that shows the versions of the tools in the role's key."""
BUILDER = ("roles/kernel_build", "plugins/module_utils/_kernel_build")
"""Folders that decide how packages are made, the series among them."""


@dataclass(frozen=True)
class Kernel:
    """A built kernel.

    ``folder`` holds packages and manifest.json, ``release`` is the answer of ``uname -r``.
    """

    flavour: str
    folder: Path
    release: str

    @property
    def package(self) -> Path:
        """The package of the manifest; those of earlier builds lie beside it."""
        packages = json.loads((self.folder / "manifest.json").read_text())["packages"]
        (entry,) = (one for one in packages if one["name"] == f"linux-image-{self.release}")
        return self.folder / str(entry["file"])

    @property
    def image(self) -> Path:
        """The bzImage, taken out of the package."""
        target = self.package.with_suffix(".vmlinuz")
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
                run(["dpkg-deb", "-x", self.package, scratch])
                (Path(scratch) / "boot" / f"vmlinuz-{self.release}").rename(target)
        return target


def folder(flavour: str) -> Path:
    """Folder with the packages of a flavour."""
    return cache() / "kernels" / flavour


def build(names: tuple[str, ...] = (*STANDARD, GUEST), with_headers: tuple[str, ...] = ()) -> None:
    """Build flavours, or take them from the role's cache.

    Ten minutes on two cores the first time. ``with_headers``: flavours whose headers are made as well, each right after
    its kernel, while the role's tree still has that flavour's sources. The role fails when a flavour lacks an
    option of its configuration.
    """
    apart = [name for name in names if name in with_headers]
    for name in apart:
        with step(f"kernel {name}, by role kernel_build"):
            _build((name,), folder(""), headers=False)
        headers(name)
    if others := tuple(name for name in names if name not in apart):
        with step(f"kernels {', '.join(others)}, by role kernel_build"):
            _build(others, folder(""), headers=False)


def headers(flavour: str) -> Path:
    """The package with a flavour's headers, for building its modules.

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
    keys = {name: _key(name, headers) for name in names}
    missing = [name for name in names if not _complete(target / name, keys[name])]
    if not missing:
        return
    flavours = [
        {
            "name": name,
            "source": FLAVOURS[name].base.source,
            "series": FLAVOURS[name].series,
            "localversion": FLAVOURS[name].localversion,
            "config": [str(CONFIGS / config) for config in FLAVOURS[name].configs],
        }
        for name in missing
    ]
    variables = {
        "lab_kernels": str(target), "lab_flavours": flavours, "lab_headers": headers, "lab_cache": str(cache()),
    }  # fmt: skip
    playbook.run_to(target / "build.log", HERE / "playbooks" / "kernels.yml", None, "-e", json.dumps(variables))
    for name in missing:
        (target / name / KEY).write_text(keys[name])


def _key(name: str, headers: bool) -> str:
    """Key of all inputs of a flavour's packages.

    The source archive counts by size and time, unread."""
    flavour = FLAVOURS[name]
    files = [path for folder in BUILDER for path in (REPOSITORY / folder).rglob("*") if path.is_file()]
    files += [CONFIGS / config for config in flavour.configs]
    archive = flavour.base.archive.stat()
    recipe: list[str | bytes] = [flavour.series, flavour.localversion, str(headers), run(TOOLS)]
    recipe += [str(flavour.base.archive), str(archive.st_size), str(archive.st_mtime_ns)]
    for path in sorted(files):
        if path.suffix != ".pyc":
            recipe += [str(path.relative_to(REPOSITORY)), path.read_bytes()]
    return key(recipe)


def _complete(folder: Path, wanted: str) -> bool:
    """Whether a folder has its manifest's packages, with this key."""
    try:
        if (folder / KEY).read_text() != wanted:
            return False
        packages = json.loads((folder / "manifest.json").read_text())["packages"]
        return all((folder / entry["file"]).stat().st_size == entry["size"] for entry in packages)
    except (OSError, ValueError):
        return False


def built(flavour: str) -> Kernel:
    """A built flavour.

    Raises LabError naming the command that builds it.
    """
    manifest = folder(flavour) / "manifest.json"
    if not manifest.exists():
        raise LabError(f"the {flavour} kernel is not built yet: run `python -m lab build`")
    return Kernel(flavour, manifest.parent, json.loads(manifest.read_text())["release"])
