# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The language of grub.cfg: from words to statements.

Grammar: grub-core/script/parser.y of GRUB 2.06 and 2.12. `while` and `until` are left out: no generator writes them,
and their end is not known without a boot.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Union

from .grub_words import Lexer, Token
from .unknown import UnknownBootError

MAX_DEPTH = 50
"""Blocks in blocks; grub-mkconfig writes four."""
RESERVED = ("then", "elif", "else", "fi", "do", "done", "in", "case", "esac", "select", "until", "while", "!")


@dataclass(frozen=True)
class Command:
    """A command with its words, and the block of a menu entry."""

    words: tuple[Token, ...]
    block: tuple[Statement, ...] | None
    line: int


@dataclass(frozen=True)
class If:
    """Conditions with what follows each; `else` has none."""

    branches: tuple[tuple[tuple[Statement, ...] | None, tuple[Statement, ...]], ...]


@dataclass(frozen=True)
class For:
    name: str
    words: tuple[Token, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Function:
    name: str
    body: tuple[Statement, ...]


Statement = Union[Command, If, For, Function]


@lru_cache(maxsize=2)  # as it is, and as it would be
def parse(text: str) -> tuple[Statement, ...]:
    """The statements of a configuration.

    Kept, as one answer runs through the same text four times. Raises `UnknownBootError` with the line for what is not
    understood.
    """
    return _Parser(Lexer(text).tokens()).script()


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens, self._at, self._depth = tokens, 0, 0

    def script(self) -> tuple[Statement, ...]:
        statements = self._list(())
        if self._now().mark != "":
            raise self._error("is not expected here")
        return statements

    def _now(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._now()
        self._at += token.mark != ""
        return token

    def _error(self, problem: str) -> UnknownBootError:
        token = self._now()
        marks = {None: "a word", "": "the end", "\n": "the end of the line"}
        what = token.literal() or marks.get(token.mark, token.mark)
        return UnknownBootError(f"line {token.line}: '{what}' {problem}")

    def _expect(self, word: str) -> None:
        if self._now().literal() != word and self._now().mark != word:
            raise self._error(f"where '{word}' is expected")
        self._next()

    def _list(self, ends: tuple[str, ...]) -> tuple[Statement, ...]:
        """Statements up to one of the words ``ends``.

        A '}' or the end.
        """
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"is more than {MAX_DEPTH} blocks deep")
        found: list[Statement] = []
        while True:
            while self._now().mark in ("\n", ";"):
                self._next()
            if self._now().mark in ("", "}") or self._now().literal() in ends:
                self._depth -= 1
                return tuple(found)
            found.append(self._statement())

    def _statement(self) -> Statement:
        word = self._now().literal()
        if word == "if":
            return self._if()
        if word == "for":
            return self._for()
        if word == "function":
            return self._function()
        if word in RESERVED or self._now().mark is not None:
            raise self._error("is not understood here")
        return self._command()

    def _command(self) -> Command:
        line, words = self._now().line, []
        while self._now().mark is None:
            words.append(self._next())
        block = self._block() if self._now().mark == "{" else None
        if self._now().mark not in ("", "\n", ";", "}"):
            raise self._error("is not expected after a command")
        return Command(tuple(words), block, line)

    def _block(self) -> tuple[Statement, ...]:
        self._expect("{")
        statements = self._list(())
        self._expect("}")
        return statements

    def _if(self) -> If:
        self._next()
        branches: list[tuple[tuple[Statement, ...] | None, tuple[Statement, ...]]] = []
        while True:
            condition = self._list(("then",))
            self._expect("then")
            branches.append((condition, self._list(("elif", "else", "fi"))))
            word = self._next().literal()
            if word == "else":
                branches.append((None, self._list(("fi",))))
                self._expect("fi")
            if word != "elif":
                return If(tuple(branches))

    def _for(self) -> For:
        self._next()
        name, words = self._next().literal(), []
        self._expect("in")
        while self._now().mark is None:
            words.append(self._next())
        while self._now().mark in ("\n", ";"):
            self._next()
        self._expect("do")
        body = self._list(("done",))
        self._expect("done")
        return For(name or "", tuple(words), body)

    def _function(self) -> Function:
        self._next()
        name = self._next().literal()
        return Function(name or "", self._block())
