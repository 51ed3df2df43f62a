"""What MkDocs does besides building these pages."""

import ast
import posixpath
import re
from pathlib import Path

from mkdocs.exceptions import PluginError

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "neural_style"

# Where files of the repository that pages include, or link to, are in the site.
PAGES = {
    "models/README.md": "bundled-network.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
}


def on_page_markdown(markdown, page, **_):
    """Name the modules that public names are in, and follow links to files outside the folder of pages.

    The package imports its public names when they are first used, which nobody sees who only reads the source.
    """
    if page.file.src_uri == "api.md":
        homes = read_homes()
        markdown = re.sub(
            rf"^::: {PACKAGE}\.(\w+)$",
            lambda match: f"::: {PACKAGE}.{homes[match[1]]}.{match[1]}" if match[1] in homes else match[0],
            markdown,
            flags=re.MULTILINE,
        )
    return re.sub(
        r"\]\((?:\.\./)*([\w./-]+\.md)(?=[)#])",
        lambda match: f"]({PAGES.get(posixpath.normpath(match[1]), match[1])}",
        markdown,
    )


def on_post_page(output, page, **_):
    """Make sure that a reader's browser asks no other server for anything."""
    foreign = re.search(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"?(?:https?:)?//[^\s\">]*", output)
    if foreign:
        raise PluginError(f"{page.file.src_uri} loads a file from elsewhere: {foreign[0]}")


def read_homes():
    """Read where each public name lives, from the source: importing the package needs MXNet."""
    tree = ast.parse((ROOT / PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and statement.targets[0].id == "_HOMES":
            return ast.literal_eval(statement.value)
    return {}
