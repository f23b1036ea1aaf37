# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The warm interpreter behaves as a new Python does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake.tools import warm_python

WARM = "import sys; print(len(sys.orig_argv) > 1 and sys.orig_argv[1].endswith('warm_server.py'))"
ALL = """
import os, signal, sys
open('twice', 'a').write('x')
print([(k, v) for k, v in sorted(os.environ.items()) if k not in ('_', 'SHLVL', 'OLDPWD')])
print(os.getcwd(), oct(os.umask(0)), sys.argv, sys.path, sys.executable, sys.stdin.read())
print([number for number in signal.valid_signals() if signal.getsignal(number) == signal.SIG_IGN])
print(signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGCHLD))
print([os.readlink(f'/proc/self/fd/{fd}').split(':')[0] for fd in sorted(os.listdir('/proc/self/fd')) if fd != '3'])
print(len(os.listdir('/proc/self/fd')), sys.stdout.encoding, sys.stdin.isatty(), sys.stdout.line_buffering, __name__)
print(os.getuid(), os.getgroups(), open('/proc/self/limits').read(), sys.gettrace(), __builtins__, sorted(globals()))
"""
"""What a script has, but for what each shell sets."""
THREAD = """
import sys, threading, time
threading.Thread(target=lambda: time.sleep(0.1) or sys.stderr.write('late')).start()
"""
CALLERS = {
    "plain": "",
    "LC_ALL=C": "export LC_ALL=C;",
    "unlike pytest": "umask 027; unset HOME; trap '' HUP USR1; export OWN='a b' BYTES=$(printf '\\377');",
}
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.close(1), os.close(2)
        open(PATH, 'w').write(f'{os.getpid()} ')
        time.sleep(60)
    os._exit(0)
"""


def run(text: str, *words: str, python: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python or warm_python.interpreter(), *words],
        input=text,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def gone(process: Path, until: float) -> bool:
    """Whether a process ends before ``until``; a zombie has."""
    while time.monotonic() < until:
        try:
            if "\nState:\tZ" in (process / "status").read_text():
                return True
        except (FileNotFoundError, ProcessLookupError):  # it may end between open(2) and read(2)
            return True
        time.sleep(0.01)
    return False


def written(path: Path, until: float) -> Path:
    """The process whose number is in the file ``path``."""
    while not (path.exists() and path.read_text().endswith(" ")):
        assert time.monotonic() < until
        time.sleep(0.01)
    return Path("/proc") / path.read_text().strip()


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A server of a test's own, with its folder."""
    server, folder = warm_python.start()
    yield server, folder
    server.communicate()
    shutil.rmtree(folder, ignore_errors=True)  # that of a server that was killed


@pytest.mark.parametrize("named", [False, True], ids=["from stdin", "named"])
@pytest.mark.parametrize("caller", CALLERS)
def test_a_script_has_of_its_caller_what_a_new_python_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool, caller: str
) -> None:
    (tmp_path / "script").write_text(ALL)
    monkeypatch.chdir(tmp_path)
    words = f"{tmp_path}/script a 'b c'" if named else ""
    answers = []
    for python in (sys.executable, warm_python.interpreter()):
        line = f"{CALLERS[caller]} exec {python} {words}"
        given = "the input" if named else ALL
        answers.append(subprocess.run(line, shell=True, input=given, capture_output=True, text=True, check=False))
    new, warm = ([*done.stdout.splitlines(), done.stderr, str(done.returncode)] for done in answers)
    assert [line for line in new if line not in warm] == [line for line in warm if line not in new] == []
    assert (tmp_path / "twice").read_text() == "xx"


def test_signals_that_a_caller_blocks_stay_blocked() -> None:
    line = [sys.executable, "-c", "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])\n"
            f"os.execv({warm_python.interpreter()!r}, ['python'])"]  # fmt: skip
    text = "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    done = subprocess.run(line, input=text, capture_output=True, text=True, check=False)
    assert "SIGUSR2" in done.stdout, done.stderr


def test_modules_run_warm_and_options_do_not(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(WARM)
    done = [run(WARM), run("", f"{tmp_path}/script"), run(WARM, LC_ALL="C")]
    assert [one.stdout for one in done] == ["True\n"] * 3
    assert [run("", "-c", WARM).stdout, run(WARM, "-").stdout] == ["False\n", "False\n"]


@pytest.mark.parametrize("wrapped", ["env PYTHONPATH={0}", "env LC_ALL=POSIX", "prlimit --nofile=99:99", "unshare -n"])
def test_a_caller_whose_python_would_start_otherwise_has_its_own(wrapped: str, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("")
    line = [*wrapped.format(tmp_path).split(), warm_python.interpreter()]
    if subprocess.run([*line[:-1], "true"], capture_output=True, check=False).returncode:
        pytest.skip(f"{wrapped} is not allowed here")
    done = subprocess.run(line, input=WARM, capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit('why')", 1, "why"),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
        ("import os; os.kill(os.getpid(), 15)", -15, ""),
        ("import atexit, sys; atexit.register(lambda: sys.stderr.write('late'))", 0, "late"),
        (THREAD, 0, "late"),
        ("import os, sys; sys.stdout = open(1, 'w', closefd=False); print('lost'); os.close(1)", 120, "Bad file"),
        ("def f(x: nowhere): pass", 1, "NameError"),
    ],
    ids=["a number", "words", "an error", "SIGKILL", "SIGTERM", "atexit", "a thread", "lost output", "no future"],
)  # fmt: skip
def test_it_ends_as_a_new_python_does(text: str, status: int, words: str) -> None:
    for python in (sys.executable, warm_python.interpreter()):
        done = run(text, python=python)
        assert (done.returncode, words in done.stderr) == (status, True), done.stderr


def test_a_kill_of_its_process_group_kills_that_of_its_caller() -> None:
    """A power cut in a module leaves nothing of its worker."""
    for target, ended, left in (("0", -9, ""), ("os.getpid()", 0, "left\n")):
        for python in (sys.executable, warm_python.interpreter()):
            line = ["sh", "-c", f"{python}; echo left"]
            done = subprocess.run(
                line, input=f"import os; os.kill({target}, 9)", stdout=subprocess.PIPE, text=True, check=False,
                start_new_session=True,
            )  # fmt: skip
            assert (done.returncode, done.stdout) == (ended, left), (target, python)


def test_what_a_script_changes_is_gone_with_it() -> None:
    run("import os, json; os.environ['LEFT'] = json.left = 'x'")
    done = run("import os, json; print('LEFT' in os.environ, hasattr(json, 'left'))")
    assert done.stdout == "False False\n"


@pytest.mark.parametrize(
    "name", ["ansible.constants", "ansible.module_utils.facts", "ansible.modules.ping", "counting"]
)
def test_what_is_not_in_a_modules_zip_is_not_there(name: str) -> None:
    """Of Ansible, of the tests: what imports it fails."""
    done = run(f"import ansible.module_utils.basic; import {name}")
    assert "No module named" in done.stderr


def test_a_script_ends_with_a_caller_that_is_killed(tmp_path: Path) -> None:
    until = time.monotonic() + 20
    text = f"import os, time; open('{tmp_path}/pid', 'w').write(f'{{os.getpid()}} '); time.sleep(60)"
    caller = subprocess.Popen([warm_python.interpreter()], stdin=subprocess.PIPE, text=True)
    assert caller.stdin is not None
    caller.stdin.write(text)
    caller.stdin.close()
    process = written(tmp_path / "pid", until)
    caller.kill()
    caller.wait()
    assert gone(process, until)


def test_nothing_is_left_of_a_server_that_ends(other: tuple[subprocess.Popen[bytes], Path], tmp_path: Path) -> None:
    """Not even daemons, which outlive their module."""
    server, folder = other
    until = time.monotonic() + 20
    run(f"PATH = '{tmp_path}/pid'\n{DAEMON}", python=f"{folder}/python")
    process = written(tmp_path / "pid", until)
    assert process.exists()
    server.communicate()
    assert gone(process, until)
    assert not folder.exists()


def test_a_server_that_is_gone_fails_modules(other: tuple[subprocess.Popen[bytes], Path]) -> None:
    server, folder = other
    server.send_signal(signal.SIGKILL)
    server.wait()
    done = run("print('run')", python=f"{folder}/python")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"the warm interpreter at {folder}/socket does not answer" in done.stderr


def test_zips_are_kept_by_the_contents_of_modules(tmp_path: Path) -> None:
    for changed in ("modules/m.py", "module_utils/room/u.py"):
        path = tmp_path / "ansible_collections/a/b/plugins" / changed
        path.parent.mkdir(parents=True)
        folders = []
        for text in ("one", "two", "one"):
            path.write_text(text)
            folders.append(warm_python.playbook(tmp_path)[-1])
        assert folders[0] == folders[2] != folders[1]
