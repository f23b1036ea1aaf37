# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a run, and reports with thousands of hosts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import index, run_folder
from tests.unit.plugins.plugin_utils._report.test_report import evidence

RUN = "20261129T131500Z-0a1b2c"
MANY = 3000
MOST_BYTES = 600_000
"""Most bytes of their index; one page of all was 32 MB."""
MOST_SECONDS = 10.0
"""Most seconds of a processor for all their pages."""


def asked(*names: str) -> dict[str, dict[str, str]]:
    return {name: {"result": "not begun", "error": ""} for name in names}


class Reader(HTMLParser):
    """Rows of a table, its links, and the tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")
        if tag == "a":
            self.links.append(str(dict(attrs)["href"]))

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


@pytest.mark.heavy
def test_thousands_of_hosts_have_an_index_and_a_page_each(tmp_path: Path) -> None:
    names = [f"h{number:04}" for number in range(MANY)]
    folder = tmp_path / RUN / "evidence"
    for name in names[:-3]:
        evidence(folder, name, [name])
    hosts = asked(*names) | {names[-1]: {"result": "unreachable", "error": "no route to host " * 100}}
    begin = time.process_time()
    report, changed = run_folder.write(str(tmp_path), RUN, hosts)
    assert time.process_time() - begin < MOST_SECONDS
    assert changed
    text = (tmp_path / "latest/report.html").read_text()
    assert len(text) < MOST_BYTES
    read = Reader(text)
    rows = [row for row in read.rows if row]
    assert len(rows) == MANY
    assert rows[0][:2] == [names[-1], "unreachable"]
    assert rows[0][-1] == ("no route to host " * 100)[: index.LONGEST_ERROR].strip()
    assert rows[-1][:6] == [names[-4], "updated", "1", "1", "40.50", "41.0"]
    for link in (read.links[0], read.links[-1]):
        assert (tmp_path / RUN / unquote(link)).stat().st_size < 20_000
    assert "no route to host " * 100 in (tmp_path / RUN / unquote(read.links[0])).read_text()
    assert len(run_folder.lines(report)) == 3
    assert run_folder.write(str(tmp_path), RUN, hosts)[1] is False


HOSTILE = ['<script>alert(1)</script>', 'a"b', "a'b onload=x", "../../etc/x", "a&b;<b>", "ä%2f", "a b?c#d"]  # fmt: skip


def test_names_and_reasons_are_text(tmp_path: Path) -> None:
    """No tag, no other script, and no file elsewhere comes of them."""
    hosts = asked(*[f"h{number}" for number in range(40)])
    hosts |= {name: {"result": "refused", "error": f"{name} <img src=x>"} for name in HOSTILE}
    run_folder.write(str(tmp_path), RUN, hosts)
    text = (tmp_path / RUN / "report.html").read_text()
    read = Reader(text)
    assert "img" not in read.tags
    assert "b" not in read.tags
    assert text.count("<script") == 1
    assert {row[0] for row in read.rows if row} == set(hosts)
    assert sorted(path.name for path in tmp_path.iterdir()) == [RUN, "latest"]
    pages = {path.name for path in (tmp_path / RUN / "hosts").iterdir()}
    assert {unquote(link) for link in read.links} == {f"hosts/{name}" for name in pages}
    assert len(pages) == len(hosts)


def test_the_policy_lets_one_script_run(tmp_path: Path) -> None:
    run_folder.write(str(tmp_path), RUN, asked(*[f"h{number}" for number in range(40)]))
    text = (tmp_path / RUN / "report.html").read_text()
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert len(script) == 1
    assert f"script-src 'sha256-{digest}'" in text
    assert "default-src 'none'" in text
    for outside in ("http://", "https://", "@import", "src="):
        assert outside not in text.replace("default-src=", "")


def test_few_hosts_are_on_one_page(tmp_path: Path) -> None:
    evidence(tmp_path / RUN / "evidence", "h1")
    run_folder.write(str(tmp_path), RUN, asked("h1"))
    assert "40.50 s" in (tmp_path / RUN / "report.html").read_text()
    assert not list((tmp_path / RUN / "hosts").iterdir())


def test_runs_are_apart_and_private(tmp_path: Path) -> None:
    """Evidence of a run before is none of this one's."""
    evidence(tmp_path / "first" / "evidence", "h1")
    run_folder.write(str(tmp_path), "first", asked("h1"))
    report, _changed = run_folder.write(str(tmp_path), "second", asked("h1"))
    assert [(host["result"], host["vms"]) for host in report["hosts"]] == [("not begun", [])]
    assert json.loads((tmp_path / "latest/report.json").read_text()) == report
    assert json.loads((tmp_path / "first/report.json").read_text())["hosts"][0]["result"] == "updated"
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("second", "second/report.json")] == [0o700, 0o600]


@pytest.mark.parametrize("run", ["", "..", "../x", "a/b", "latest", "a\n", "x" * 81])
def test_a_run_is_a_name(tmp_path: Path, run: str) -> None:
    with pytest.raises(ValueError, match="is no name of a run"):
        run_folder.write(str(tmp_path), run, {})


def test_what_is_called_latest_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    with pytest.raises(ValueError, match="latest is no link to a run: move it away"):
        run_folder.write(str(tmp_path), RUN, {})
