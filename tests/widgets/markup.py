"""HTML as the tests look at it."""

from __future__ import annotations

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
