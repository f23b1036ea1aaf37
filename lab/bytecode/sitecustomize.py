"""The bytecode of Ansible's modules, kept between their runs.

Ansible sends each module as a zip of sources, from which Python keeps no bytecode: half of a module's time is spent on
compiling the same files. For hosts of tests only, with this folder on PYTHONPATH: programs of the collection are
compiled as on any host, so that what is measured of them stays true.
"""

from __future__ import annotations

import _imp
import contextlib
import hashlib
import marshal
import os
import sys
import zipimport
from types import CodeType
from typing import Any

FOLDER = os.environ.get("KVMFLEET_BYTECODE", "")
"""Folder of the bytecode, by checksums of sources; empty for none."""
PAYLOAD = "_payload.zip" + os.sep
"""Part of the names of files in a module of Ansible."""
importer: Any = zipimport
compiled = importer._compile_source


def kept(name: str, source: bytes) -> Any:  # noqa: ANN401 - marshal has no types
    """The code of a source file in a zip."""
    if PAYLOAD not in name:
        return compiled(name, source)
    path = os.path.join(FOLDER, f"{hashlib.sha256(source).hexdigest()[:32]}.{sys.implementation.cache_tag}")
    try:
        with open(path, "rb") as file:
            code = marshal.load(file)
    except (OSError, ValueError, EOFError, TypeError):
        code = None
    if not isinstance(code, CodeType):
        code = compiled(name, source)
        with contextlib.suppress(OSError):
            keep(path, code)
    files: Any = _imp
    files._fix_co_filename(code, name)
    return code


def keep(path: str, code: CodeType) -> None:
    """Write it whole or not at all: modules run side by side."""
    os.makedirs(FOLDER, exist_ok=True)
    new = f"{path}.{os.getpid()}"
    with open(new, "wb") as file:
        marshal.dump(code, file)
    os.replace(new, path)


if FOLDER:
    importer._compile_source = kept
