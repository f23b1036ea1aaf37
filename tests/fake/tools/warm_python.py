# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interpreter of played hosts and their `ansible-playbook`: this Python, warm."""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def start(**environment: str) -> tuple[subprocess.Popen[bytes], Path]:
    """Start a server (`warm_server.py`), which ends with its standard input.

    Returns it with its folder, where `python` is what asks it.
    """
    folder = Path(tempfile.mkdtemp(prefix="kvmfleet-warm-"))
    argv = [sys.executable, str(HERE / "warm_server.py"), str(folder)]
    server = subprocess.Popen(
        argv, env={**os.environ, **environment}, cwd=HERE.parents[2],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n", "the warm interpreter has not started"
    (folder / "python").write_text(f"#!/bin/sh\n{_script(folder, folder)}\n")
    (folder / "python").chmod(0o755)
    return server, folder


@functools.cache
def _folder(**environment: str) -> Path:
    """The folder of this process's server of that environment."""
    server, folder = start(**environment)
    atexit.register(server.communicate)
    return folder


def _script(folder: Path, untranslated: Path) -> str:
    real, client = sys.executable, HERE / "warm_client.py"
    ask = f"exec {real} -I -S {client}"
    return f"""case "$1" in -*) exec {real} "$@" ;; esac
case "$LC_ALL" in C) {ask} {untranslated}/socket "$@" ;; esac
{ask} {folder}/socket "$@\""""


def script() -> str:
    """The end of a shell script that is an interpreter.

    It runs modules by a warm one, what has options by a Python of its own. The role kernel_deploy sets LC_ALL=C, with
    which a Python starts otherwise: there is a server for that.
    """
    return _script(_folder(), _folder(LC_ALL="C"))


@functools.cache
def interpreter() -> str:
    """The path of the warm interpreter, for hosts without their own."""
    path = _folder() / "python"
    path.write_text(f"#!/bin/sh\n{script()}\n")
    return str(path)


def playbook(collections: Path) -> list[str]:
    """The words that stand for `ansible-playbook`.

    ``collections`` has what plays run. Zips of modules are kept by the contents of all that may be in them.
    """
    zips = _folder() / "zips" / _digest(collections)
    zips.mkdir(parents=True, exist_ok=True)
    return [sys.executable, str(HERE / "warm_playbook.py"), interpreter(), str(zips)]


def _digest(collections: Path) -> str:
    contents = hashlib.sha256()
    for plugins in sorted(collections.glob("ansible_collections/*/*/plugins")):
        for kind in ("modules", "module_utils"):
            for folder, _folders, names in sorted(os.walk(plugins / kind, followlinks=True)):
                for path in sorted(Path(folder) / name for name in names if name.endswith(".py")):
                    text = path.read_bytes()
                    contents.update(f"{path.relative_to(collections)} {len(text)} ".encode() + text)
    return contents.hexdigest()[:32]
