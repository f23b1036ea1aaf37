"""Folders of the lab.

Builds go to the cache, keyed by content, runs to build/lab.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
HERE = REPOSITORY / "lab"
IMAGES = HERE / "images"
RUNS = REPOSITORY / "build" / "lab"


def cache() -> Path:
    """Cache of all the project's tools; safe to delete any time."""
    default = Path.home() / ".cache" / "kvmfleet-sriov"
    return Path(os.environ.get("KVMFLEET_CACHE", default))


@contextlib.contextmanager
def building() -> Iterator[None]:
    """Hold the cache's lock.

    Of several runs at once one builds, the others then have its results.
    """
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "building.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def key(parts: Iterable[str | bytes]) -> str:
    """A short content key of parts.

    16 hex digits of the SHA-256 over all parts, each with its length before it.
    """
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(f"{len(data)}:".encode() + data)
    return digest.hexdigest()[:16]


def sockets(fleet: str) -> Path:
    """A short folder for unix sockets, wherever the checkout lies.

    Their paths are limited to 107 bytes (unix(7)).
    """
    return Path(tempfile.gettempdir()) / f"kvmfleet-lab-{key([str(REPOSITORY), fleet])}"
