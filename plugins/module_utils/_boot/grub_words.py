# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The language of grub.cfg: from text to words.

Grammar: GRUB manual, "Writing full configuration files directly" (GRUB 2.12, chapter 6.2).
"""

from __future__ import annotations

from typing import NamedTuple

from .unknown import UnknownBootError

MAX_CHARACTERS = 1 << 20
NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"
SPECIAL = "@*#?"


class Part(NamedTuple):
    """A piece of a word: text, or the name of a variable.

    ``quoted``: what it becomes is not split into words.
    """

    text: str
    variable: bool
    quoted: bool


class Token(NamedTuple):
    """A word (``parts``), or a mark.

    End of line, ``;``, ``{``, ``}``, and "" at the end.
    """

    mark: str | None
    parts: tuple[Part, ...]
    line: int

    def literal(self) -> str | None:
        """The text of a word without quotes and variables, None for another."""
        plain = self.mark is None and all(not part.variable and not part.quoted for part in self.parts)
        return "".join(part.text for part in self.parts) if plain else None

    def raw(self) -> str:
        """The word as far as it is plain text."""
        plain = []
        for part in self.parts:
            if part.variable or part.quoted:
                break
            plain.append(part.text)
        return "".join(plain)


class Lexer:
    """Cuts text into tokens."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARACTERS:
            raise UnknownBootError(f"it has {len(text)} characters, at most {MAX_CHARACTERS} are read")
        self._text, self._at, self._line = text, 0, 1

    def tokens(self) -> list[Token]:
        """All tokens; the last one is the end."""
        found = []
        while True:
            token = self._token()
            found.append(token)
            if token.mark == "":
                return found

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._text[at] if at < len(self._text) else ""

    def _take(self) -> str:
        character = self._peek()
        self._at += 1
        self._line += character == "\n"
        return character

    def _skip(self) -> None:
        while True:
            if self._peek() and self._peek() in " \t\r":
                self._take()
            elif self._peek() == "\\" and self._peek(1) == "\n":
                self._take()
                self._take()
            elif self._peek() == "#":
                while self._peek() not in ("", "\n"):
                    self._take()
            else:
                return

    def _token(self) -> Token:
        self._skip()
        line, character = self._line, self._peek()
        if character == "":
            return Token("", (), line)
        if character in "\n;{}":
            return Token(self._take(), (), line)
        if character in "|&<>":
            raise UnknownBootError(f"line {line}: unquoted '{character}'")
        return Token(None, self._word(), line)

    def _word(self) -> tuple[Part, ...]:
        parts: list[Part] = []
        while self._peek() and self._peek() not in " \t\r\n;{}|&<>":
            character = self._take()
            if character == "'":
                parts.append(Part(self._until_quote(), False, True))
            elif character == '"':
                parts.append(Part("", False, True))
                self._double(parts)
            elif character == "\\":
                following = self._take()
                parts.append(Part("" if following == "\n" else following, False, True))
            elif character == "$":
                parts.append(self._variable(False))
            else:
                parts.append(Part(character, False, False))
        return tuple(parts)

    def _until_quote(self) -> str:
        begin, line = self._at, self._line
        while self._peek() != "'":
            if not self._take():
                raise UnknownBootError(f"line {line}: a quote is not closed")
        self._take()
        return self._text[begin : self._at - 1]

    def _double(self, parts: list[Part]) -> None:
        line = self._line
        while True:
            character = self._take()
            if character == "":
                raise UnknownBootError(f"line {line}: a quote is not closed")
            if character == '"':
                return
            if character == "$":
                parts.append(self._variable(True))
            elif character == "\\" and self._peek() in ("$", '"', "\\", "\n"):
                following = self._take()
                parts.append(Part("" if following == "\n" else following, False, True))
            else:
                parts.append(Part(character, False, True))

    def _variable(self, quoted: bool) -> Part:
        if self._peek() == "{":
            end = self._text.find("}", self._at)
            name = self._text[self._at + 1 : end]
            if end < 0 or not name or (name not in SPECIAL and any(one not in NAME for one in name)):
                raise UnknownBootError(f"line {self._line}: a name after '${{' is not understood")
            self._at = end + 1
            return Part(name, True, quoted)
        if self._peek() and self._peek() in SPECIAL:
            return Part(self._take(), True, quoted)
        begin, signs = self._at, NAME[-10:] if self._peek().isdigit() else NAME
        while self._peek() and self._peek() in signs:
            self._take()
        name = self._text[begin : self._at]
        return Part(name, True, quoted) if name else Part("$", False, True)
