"""Check a built site without a browser: nothing from other hosts, real alternative texts, links that resolve.

    python book/_ext/check_html.py _build/html

The site is read as it lies on disk, so a link must end at a file, not at a folder: a page opened from disk
has no server to find the index for it. What scripts do is left to the browser test.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {
    ("script", "src"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("video", "src"),
    ("object", "data"),
}
LOADING_LINKS = {
    "stylesheet",
    "preload",
    "modulepreload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "icon",
    "manifest",
}
CSS_LOAD = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")
FILE_NAME = re.compile(r"\.(png|svg|jpe?g|gif|webp)$", re.IGNORECASE)


class Page(HTMLParser):
    """What one page loads, links to, offers as targets, and shows as pictures."""

    def __init__(self, path: Path):
        super().__init__()
        self.loads, self.links, self.targets, self.alts = [], [], set(), []
        self.in_style = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        """Sort one tag's attributes into loads, links, targets and alternative texts."""
        attributes = {name: value or "" for name, value in attrs}
        self.targets |= {attributes[name] for name in ("id", "name") if name in attributes}
        self.loads += [value for name, value in attributes.items() if (tag, name) in LOADS]
        self.loads += [part.split()[0] for part in attributes.get("srcset", "").split(",") if part.strip()]
        self.loads += CSS_LOAD.findall(attributes.get("style", ""))
        if tag == "link" and LOADING_LINKS & set(attributes.get("rel", "").split()):
            self.loads.append(attributes.get("href", ""))
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        if tag == "img":
            self.alts.append(attributes.get("alt", ""))
        self.in_style = tag == "style"

    def handle_data(self, data):
        """Look for loads in a style sheet written into the page."""
        if self.in_style:
            self.loads += CSS_LOAD.findall(data)

    def handle_endtag(self, tag):
        """Leave a style sheet."""
        self.in_style = False


def is_external(address: str) -> bool:
    """Whether an address leads to another host."""
    return bool(urlsplit(address).netloc)


def link_fault(path: Path, address: str, pages: dict[Path, Page]) -> str | None:
    """Why a page's local address leads nowhere, or None."""
    parts = urlsplit(address)
    if parts.scheme in {"http", "https", "mailto", "data", "javascript"} or is_external(address):
        return None
    if parts.scheme or parts.path.startswith("/"):
        return f"{address} does not work from a folder on disk"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return f"{address} is no file"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].targets:
        return f"{address} has no such target"
    return None


def page_faults(path: Path, pages: dict[Path, Page]) -> list[str]:
    """Everything wrong with one page."""
    page = pages[path]
    faults = [f"loads {address}" for address in page.loads if is_external(address)]
    faults += [f"picture without a real alternative text: {alt!r}" for alt in page.alts if is_empty(alt)]
    local = [*page.links, *(address for address in page.loads if not is_external(address))]
    return faults + [fault for address in local if (fault := link_fault(path, address, pages))]


def is_empty(alt: str) -> bool:
    """Whether an alternative text says nothing: none at all, or the file's name."""
    return len(alt.split()) < 2 or bool(FILE_NAME.search(alt.strip()))


def faults(site) -> list[str]:
    """Every fault of every page and style sheet under ``site``."""
    site = Path(site).resolve()
    pages = {path: Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}
    found = [f"{path.relative_to(site)}: {fault}" for path in pages for fault in page_faults(path, pages)]
    for sheet in sorted(site.rglob("*.css")):
        loads = CSS_LOAD.findall(sheet.read_text(encoding="utf-8", errors="replace"))
        found += [f"{sheet.relative_to(site)}: loads {address}" for address in loads]
    return found if pages else [f"{site}: no pages"]


def main(argv=None) -> int:
    """Print the faults of the site named; 1 if there are any."""
    (site,) = argv if argv is not None else sys.argv[1:]
    found = faults(site)
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
