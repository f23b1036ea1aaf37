"""The kernel module many_vfs, with thousands of VFs for conformance cases.

Its sources are in kernel/many_vfs/.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ..paths import REPOSITORY, cache, key
from ..progress import run, step
from . import packages

SOURCES = REPOSITORY / "kernel" / "many_vfs"


def build(flavour: str) -> Path:
    """Build many_vfs.ko for a flavour; kept by content.

    With the headers of exactly that kernel.
    """
    headers = packages.headers(flavour)
    files = sorted(path for path in SOURCES.iterdir() if path.is_file())
    recipe: list[str | bytes] = [headers.name]
    for path in files:
        recipe += [path.name, path.read_bytes()]
    target = cache() / "many_vfs" / key(recipe) / "many_vfs.ko"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with step(f"module many_vfs for {flavour}"), tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            run(["dpkg-deb", "-x", headers, Path(scratch) / "headers"])
            module = Path(shutil.copytree(SOURCES, Path(scratch) / "module"))
            (tree,) = (Path(scratch) / "headers" / "usr" / "src").iterdir()
            run(["make", "-C", tree, f"M={module}", "modules"], log=target.with_name("make.log"))
            (module / target.name).rename(target)
    return target
