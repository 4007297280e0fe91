"""Read back what Chromium prints: the text of a PDF, and how its lines are drawn."""

from __future__ import annotations

import re
import zlib


class Pdf:
    """The objects of a PDF as Chromium writes it, whose fonts are named by the numbers of their objects.

    Args:
        raw: The file.
    """

    def __init__(self, raw: bytes):
        self._heads: dict[int, str] = {}
        self._streams: dict[int, str] = {}
        for number, body in re.findall(rb"(\d+) 0 obj\s*(.*?)endobj", raw, re.DOTALL):
            head, _, stream = body.partition(b"stream\n")
            self._heads[int(number)] = head.decode("latin-1")
            if stream and b"FlateDecode" in head:
                self._streams[int(number)] = zlib.decompressobj().decompress(stream).decode("latin-1")
        self._letters = {
            number: self._letters_of(int(found[1]))
            for number, head in self._heads.items()
            if (found := re.search(r"/ToUnicode (\d+) 0 R", head))
        }

    def text(self) -> str:
        """Return all text, a line for each piece."""
        return "\n".join(self._text(page) for page in self._pages())

    def longest_line(self) -> int:
        """Return the number of points of the longest line that is drawn without a break."""
        runs = re.findall(r"(?:^[-\d. ]+ [lc]\n)+", "\n".join(self._pages()), re.MULTILINE)
        return max((run.count("\n") for run in runs), default=0)

    def _pages(self) -> list[str]:
        return [stream for stream in self._streams.values() if re.search(r"^(BT|q)$", stream, re.MULTILINE)]

    def _text(self, page: str) -> str:
        pieces: list[str] = []
        letters: dict[str, str] = {}
        for font, shown in re.findall(r"/F(\d+) [\d.]+ Tf|(<[0-9A-F]+>|\[.*?\]) T[jJ]", page, re.DOTALL):
            if font:
                letters = self._letters.get(int(font), {})
            codes = "".join(re.findall(r"<([0-9A-F]+)>", shown))
            pieces.append("".join(letters.get(codes[i : i + 4], "?") for i in range(0, len(codes), 4)))
        return "\n".join(piece for piece in pieces if piece)

    def _letters_of(self, number: int) -> dict[str, str]:
        table, found = self._streams[number], {}
        for block in re.findall(r"beginbfchar(.*?)endbfchar", table, re.DOTALL):
            found |= {code: chr(int(to, 16)) for code, to in re.findall(r"<(\w{4})> <(\w{4})>", block)}
        for block in re.findall(r"beginbfrange(.*?)endbfrange", table, re.DOTALL):
            for first, last, to in re.findall(r"<(\w{4})> <(\w{4})> <(\w{4})>", block):
                for code in range(int(first, 16), int(last, 16) + 1):
                    found[f"{code:04X}"] = chr(int(to, 16) + code - int(first, 16))
        return found
