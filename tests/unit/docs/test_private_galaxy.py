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
NAME = "kvmfleet-sriov-1.2.3.tar.gz"


def test_each_way_has_its_requirements() -> None:
    assert set(REQUIREMENTS) == {"url", "git", "file"}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small repository with a tag, its tarball beside it."""
    folder = tmp_path_factory.mktemp("small") / "kvmfleet.sriov.git"
    folder.mkdir()
    about = {
        **yaml.safe_load((ROOT / "galaxy.yml").read_text()), "version": "1.2.3",
        "repository": "https://git.example.org/sriov",
    }  # fmt: skip
    (folder / "galaxy.yml").write_text(yaml.safe_dump(about))
    (folder / "meta").mkdir()
    for name in ("README.md", "meta/runtime.yml"):
        (folder / name).write_text((ROOT / name).read_text())
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "one"], [*who, "tag", "-am", "one", "1.2.3"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    galaxy(folder.parent, "build", "--output-path", str(folder.parent), str(folder))
    tarball.rewrite(folder.parent / NAME)
    return folder


@pytest.fixture
def pushed(small: Path, tmp_path: Path) -> Path:
    """The company's repository, after the commands of the page."""
    (typed,) = re.findall(r"```\n(git remote add company .*?)```", PAGE.read_text(), re.DOTALL)
    server, clone = tmp_path / "server/kvmfleet.sriov.git", tmp_path / "clone"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(server)], check=True)
    subprocess.run(["git", "clone", "-q", str(small), str(clone)], check=True)
    typed = typed.replace("https://git.example.org/", f"file://{server.parent}/")
    subprocess.run(["sh", "-ec", typed], cwd=clone, check=True, capture_output=True)
    return server


def test_the_branch_and_the_tag_are_pushed(pushed: Path) -> None:
    done = subprocess.run(["git", "tag", "--points-at", "main"], cwd=pushed, check=True, stdout=subprocess.PIPE)
    assert done.stdout.decode().split() == ["1.2.3"]


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
def test_it_is_installed(tmp_path: Path, small: Path, pushed: Path, server: str, way: str) -> None:
    text = REQUIREMENTS[way].replace("https://files.example.org", server)
    text = text.replace("https://git.example.org/", f"git+file://{pushed.parent}/")
    (tmp_path / "requirements.yml").write_text(text)
    (tmp_path / NAME).write_bytes((small.parent / NAME).read_bytes())
    galaxy(tmp_path, "install", "-r", "requirements.yml", "-p", "here")
    manifest = json.loads((tmp_path / "here/ansible_collections/kvmfleet/sriov/MANIFEST.json").read_text())
    assert manifest["collection_info"]["version"] == "1.2.3"


@pytest.mark.slow
def test_without_a_network(tmp_path: Path, small: Path) -> None:
    galaxy(tmp_path, "install", "--offline", "-p", "here", str(small.parent / NAME))
    galaxy(tmp_path, "verify", "--offline", "-p", "here", "kvmfleet.sriov")
