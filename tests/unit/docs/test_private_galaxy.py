# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to install without a Galaxy server, as the page has them."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import tarball

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/private_galaxy.md"
BLOCKS = re.findall(r"```yaml\n(collections:.*?)```", PAGE.read_text(), re.DOTALL)
REQUIREMENTS = {yaml.safe_load(text)["collections"][0]["type"]: text for text in BLOCKS}
NAME = "kvmfleet-sriov-0.1.0.tar.gz"


def test_each_way_has_its_requirements() -> None:
    assert set(REQUIREMENTS) == {"url", "git", "file"}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small repository with a tag, its tarball beside it."""
    folder = tmp_path_factory.mktemp("small") / "kvmfleet.sriov.git"
    folder.mkdir()
    about = {**yaml.safe_load((ROOT / "galaxy.yml").read_text()), "repository": "https://git.example.org/sriov"}
    (folder / "galaxy.yml").write_text(yaml.safe_dump(about))
    (folder / "meta").mkdir()
    for name in ("README.md", "meta/runtime.yml"):
        (folder / name).write_text((ROOT / name).read_text())
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "one"], [*who, "tag", "-am", "one", "0.1.0"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    galaxy(folder.parent, "build", "--output-path", str(folder.parent), str(folder))
    tarball.rewrite(folder.parent / NAME)
    return folder


def galaxy(folder: Path, *words: str) -> None:
    """Run ``ansible-galaxy collection`` in a folder, with a home of its own."""
    environment = {**os.environ, "ANSIBLE_HOME": str(folder / "home"), "ANSIBLE_GALAXY_SERVER": "http://127.0.0.1:9"}
    argv = [str(ROOT / ".venv/bin/ansible-galaxy"), "collection", *words]
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def server(small: Path) -> Iterator[str]:
    """The address of a web server with the tarball."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_words: Any) -> None:  # noqa: ANN401 - as the base has it
            pass

    handler = functools.partial(Quiet, directory=str(small.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["url", "git", "file"])
def test_it_is_installed(tmp_path: Path, small: Path, server: str, way: str) -> None:
    text = REQUIREMENTS[way].replace("https://files.example.org", server)
    text = text.replace("https://git.example.org/", f"git+file://{small.parent}/")
    (tmp_path / "requirements.yml").write_text(text)
    (tmp_path / NAME).write_bytes((small.parent / NAME).read_bytes())
    galaxy(tmp_path, "install", "-r", "requirements.yml", "-p", "here")
    manifest = json.loads((tmp_path / "here/ansible_collections/kvmfleet/sriov/MANIFEST.json").read_text())
    assert manifest["collection_info"]["version"] == "0.1.0"


@pytest.mark.slow
def test_without_a_network(tmp_path: Path, small: Path) -> None:
    galaxy(tmp_path, "install", "--offline", "-p", "here", str(small.parent / NAME))
    galaxy(tmp_path, "verify", "--offline", "-p", "here", "kvmfleet.sriov")
