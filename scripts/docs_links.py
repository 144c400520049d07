"""Links of the docs to files beside the folder docs go to the repository, in the site."""

from __future__ import annotations

from typing import Any

_FILES = "{repository}/blob/main/"


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """Turn ``](../file)`` into a link to the file in the repository (called by mkdocs)."""
    return markdown.replace("](../", f"]({_FILES.format(repository=config.repo_url)}")
