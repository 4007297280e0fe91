"""HTML as the tests look at it."""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser

VOID = {"br", "hr", "img", "input", "meta"}


class Tags(HTMLParser):
    """Collects tags and attributes, and fails on tags that do not match."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def loaded(self) -> set[str]:
        """Return what the page would load: the addresses of images and links, but for data in the page itself."""
        addresses = {str(attributes.get(name)) for _, attributes in self.found for name in ("src", "href")}
        return {
            address for address in addresses if address != "None" and not address.startswith("data:image/")
        }


# What a front end that trusts nobody leaves of HTML: these elements with these attributes, and the text in them.
SAFE = frozenset(
    {"a", "b", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em", "figcaption"}
)
SAFE |= {
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "li",
    "ol",
    "p",
    "pre",
    "section",
    "small",
}
SAFE |= {
    "span",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
}
HARMLESS = frozenset(
    {"align", "alt", "colspan", "height", "href", "open", "rowspan", "scope", "title", "width"}
)
# Elements that go with all that is in them.
GONE = frozenset({"style", "script", "svg", "math", "canvas", "iframe", "object", "template"})
BLOCKS = SAFE & {"div", "p", "li", "tr", "table", "pre", "figure", "figcaption", "details", "summary", "br"}


class Strict(HTMLParser):
    """HTML as GitHub shows it, in ``html``, and what a reader sees of that, in ``text``.

    >>> Strict('<style>b{}</style><div class="x"><b onclick="hack()">7</b> <svg><text>8</text></svg></div>').html
    '<div><b>7</b> </div>'
    """

    def __init__(self, html: str):
        super().__init__()
        self.html = self.text = ""
        self._gone = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._gone += tag in GONE
        if self._gone or tag not in SAFE:
            return
        kept = "".join(f' {name}="{escape(value or "")}"' for name, value in attrs if name in HARMLESS)
        self.html += f"<{tag}{kept}>"
        self.text += "\n" if tag in BLOCKS else "\t" if tag in ("td", "th") else ""

    def handle_endtag(self, tag: str) -> None:
        if not self._gone and tag in SAFE:
            self.html += f"</{tag}>"
            self.text += "\n" if tag in BLOCKS else ""
        self._gone -= tag in GONE

    def handle_data(self, data: str) -> None:
        if not self._gone:
            self.html += escape(data)
            self.text += data
