# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs grub.cfg as GRUB does, without a boot.

What it decides, or that it is not known. Where a condition depends on what only the boot shows, both ways are gone, and
what differs afterwards is not known. Commands that may decide what starts and are not known here end the reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from . import grub_commands
from .grub_commands import EndSignal, ReturnSignal
from .grub_script import Command, For, If, Statement, parse
from .grub_state import Block, Entry, State, Text
from .grub_test import Answer, test
from .grub_words import Token
from .unknown import UnknownBootError

FILE, ENTRY, FUNCTION = "file", "entry", "function"
MAX_DEPTH = 20
"""Functions in functions, files in files."""
MAX_COMMANDS = 50_000


class Files(Protocol):
    """Files as GRUB sees them.

    ``root`` is the device of paths without one. None: not known.
    """

    def present(self, kind: str, path: str, root: Text) -> bool | None: ...
    def glob(self, pattern: str, root: Text) -> list[str] | None: ...
    def text(self, path: str, root: Text) -> str | None: ...


class Runner:
    """One reading of a configuration, which changes ``state``."""

    def __init__(self, state: State, files: Files) -> None:
        self.state, self.files = state, files
        self._count = 0
        self._scopes: tuple[str, ...] = ()

    def run(self, block: Block) -> Answer:
        """Run statements.

        Returns the status of the last one, as of a condition.
        """
        status: Answer = True
        for statement in block:
            status = self._statement(statement)
        return status

    def source(self, path: Text, line: int) -> Answer:
        """Run a file in the present state."""
        text = None if path is None else self.files.text(path, self.state.variables.get("root"))
        if text is None:
            raise UnknownBootError(
                f"line {line}: it goes on in {path or 'a file that the boot shows'}, which is not read"
            )
        return self._within(parse(text), line, FILE)

    def leave(self, line: int) -> Answer:
        """`return`, which GRUB does not take outside of functions and entries."""
        if not set(self._scopes) - {FILE}:
            return False
        if self._scopes[-1] == FILE:
            raise UnknownBootError(f"line {line}: `return` of a file within a function or an entry")
        raise ReturnSignal

    def call(self, entry: Entry) -> Answer:
        """Run the block of a menu entry, with its arguments."""
        before, self.state.arguments = self.state.arguments, entry.arguments
        try:
            return self._within(entry.block, 0, ENTRY)
        except EndSignal:
            return True
        finally:
            self.state.arguments = before

    def _within(self, block: Block, line: int, scope: str) -> Answer:
        before, self._scopes = self._scopes, (*self._scopes, scope)
        if len(before) >= MAX_DEPTH:
            raise UnknownBootError(f"line {line}: more than {MAX_DEPTH} functions or files in one another")
        try:
            return self.run(block)
        except ReturnSignal:
            return None
        finally:
            self._scopes = before

    def _statement(self, statement: Statement) -> Answer:
        if isinstance(statement, Command):
            return self._command(statement)
        if isinstance(statement, If):
            return self._branches(statement.branches)
        if isinstance(statement, For):
            return self._for(statement)
        self.state.functions[statement.name] = statement.body
        return True

    def _branches(self, branches: Sequence[tuple[Block | None, Block]]) -> Answer:
        for number, (condition, body) in enumerate(branches):
            answer = True if condition is None else self.run(condition)
            if answer:
                return self.run(body)
            if answer is None:
                return self._both(body, branches[number + 1 :])
        return True

    def _both(self, body: Block, others: Sequence[tuple[Block | None, Block]]) -> Answer:
        """Go both ways, and keep what is the same."""
        other = Runner(self.state.copy(), self.files)
        other._scopes, other._count = self._scopes, self._count
        try:
            self.run(body)
            other._branches(others)
        except (ReturnSignal, EndSignal):
            raise UnknownBootError(
                "whether more is run (`return`, `boot`) depends on what only the boot shows"
            ) from None
        self._count = max(self._count, other._count)
        self.state.merge(other.state, _line(body))
        return None

    def _for(self, loop: For) -> Answer:
        status: Answer = True
        values = [word for token in loop.words for word in self.expand(token)]
        for word in values:
            self.state.variables[loop.name] = word
            status = self.run(loop.body)
        if len(values) > 1 and self.state.unordered:
            self.state.variables[loop.name] = None  # which was the last, the folder on disk decides
        return status

    def _command(self, command: Command) -> Answer:
        self._count += 1
        if self._count > MAX_COMMANDS:
            raise UnknownBootError(f"line {command.line}: more than {MAX_COMMANDS} commands")
        words = [word for token in command.words for word in self.expand(token)]
        variable = grub_commands.assigned(command.words[0].raw())
        if variable is not None:
            return grub_commands.assign(self, variable, words[0])
        if not words:
            return True
        name, arguments = words[0], words[1:]
        if name is None:
            raise UnknownBootError(f"line {command.line}: which command runs depends on what only the boot shows")
        if name in self.state.functions:
            return self._function(name, arguments, command.line)
        return grub_commands.run(self, name, arguments, command)

    def _function(self, name: str, arguments: Sequence[Text], line: int) -> Answer:
        before, self.state.arguments = self.state.arguments, tuple(arguments)
        try:
            return self._within(self.state.functions[name], line, FUNCTION)
        finally:
            self.state.arguments = before

    def test(self, words: Sequence[Text]) -> Answer:
        root = self.state.variables.get("root")
        return test(words, lambda kind, path: self.files.present(kind, path, root))

    def expand(self, token: Token) -> list[Text]:
        """The words that a word becomes: none, one, or several."""
        fields: list[Text] = []
        current: list[Text] = []
        for part in token.parts:
            values: list[Text] = [part.text] if not part.variable else [self._value(part.text)]
            if part.variable and not part.quoted and values[0] is not None:
                value = values[0]
                pieces: list[Text] = list(value.split())
                if value[:1].isspace() and current:
                    fields.append(_joined(current))
                    current = []
                for number, piece in enumerate(pieces):
                    if number:
                        fields.append(_joined(current))
                        current = []
                    current.append(piece)
                if pieces and value[-1:].isspace():
                    fields.append(_joined(current))
                    current = []
            else:
                current.append(values[0])
        if current:
            fields.append(_joined(current))
        return self._wildcards(token, fields)

    def _wildcards(self, token: Token, fields: list[Text]) -> list[Text]:
        """Replace a pattern by the paths that fit it (grub-core/commands/wildcard.c)."""
        marked = any(
            mark in part.text for part in token.parts if not part.quoted and not part.variable for mark in "*?"
        )
        pattern = fields[0] if marked and len(fields) == 1 else None
        if pattern is None or not pattern.startswith(("/", "(")):
            return fields
        found = self.files.glob(pattern, self.state.variables.get("root"))
        if found is None:
            raise UnknownBootError(f"line {token.line}: files {pattern} are not read")
        self.state.unordered |= len(found) > 1
        return list(found) or fields

    def _value(self, name: str) -> Text:
        state = self.state
        if name.isdigit():
            return state.arguments[int(name) - 1] if 0 < int(name) <= len(state.arguments) else ""
        if name in "@*#?":
            return None
        return state.variables.get(name, "")


def _joined(parts: Sequence[Text]) -> Text:
    return None if None in parts else "".join(part for part in parts if part is not None)


def _line(block: Block) -> int:
    return next((one.line for one in block if isinstance(one, Command)), 0)
