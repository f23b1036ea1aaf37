# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A caller of the warm interpreter, in the place of `python`.

Started with -I -S for each module, so it imports next to nothing. It hands the server (`warm_server.py`) what a program
has from its caller, and ends as the program there did. A server that is gone fails the module.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what is built in of signal: it has no stubs
import _socket
import marshal
import os
import sys

OWN = 1 << 16
"""An answer: the caller is to start a Python of its own."""


def ask(path: str, words: tuple[str, ...]) -> bytes:
    """The answer of the server at ``path``: a number of 4 bytes."""
    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        server.connect(path)
    except OSError as error:
        sys.exit(f"the warm interpreter at {path} does not answer ({error}): run the tests anew")
    mask = os.umask(0)
    os.umask(mask)
    ignored = [number for number in _signal.valid_signals() if _signal.getsignal(number) == _signal.SIG_IGN]
    blocked = list(_signal.pthread_sigmask(_signal.SIG_BLOCK, []))
    asked = marshal.dumps((words, os.getcwd(), mask, dict(os.environ), ignored, blocked))
    fds = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
    server.sendmsg([len(asked).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fds)])
    sent = 0
    while sent < len(asked):
        sent += server.send(asked[sent:])
    return server.recv(4)


def main(path: str, *words: str) -> None:
    """Have a program run by the server; end as it did."""
    answer = ask(path, words)
    if not answer:  # whoever killed the program has killed its process group, which would have been this one
        os.kill(0, _signal.SIGKILL)
    status = int.from_bytes(answer, "big", signed=True)
    if status == OWN:
        os.execv(sys.executable, [sys.executable, *words])
    if status < 0:
        if status != -_signal.SIGKILL:
            _signal.signal(-status, _signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


main(*sys.argv[1:])
