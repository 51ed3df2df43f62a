"""What MkDocs does besides building these pages."""

import posixpath
import re
from pathlib import Path

from mkdocs.exceptions import PluginError

ROOT = Path(__file__).resolve().parents[1]

# Where files of the repository that pages include are in the site.
PAGES = {
    "models/README.md": "bundled-network.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
}


def on_page_markdown(markdown, page, **_):
    """Fill a page that is a file elsewhere in the repository, with its links leading to pages of the site."""
    included = re.fullmatch(r'--8<-- "(.+)"\s*', markdown)
    if not included:
        return markdown
    folder = posixpath.dirname(included[1])

    def lead(match):
        target = posixpath.normpath(posixpath.join(folder, match[1]))
        return "](" + PAGES.get(target, posixpath.relpath(target, "docs"))

    text = (ROOT / included[1]).read_text(encoding="utf-8")
    return re.sub(r"\]\((?![a-z]+:|#)([^)#\s]+)", lead, text)


def on_post_page(output, page, **_):
    """Make sure that a reader's browser asks no other server for anything."""
    foreign = re.search(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"?(?:https?:)?//[^\s\">]*", output)
    if foreign:
        raise PluginError(f"{page.file.src_uri} loads a file from elsewhere: {foreign[0]}")
