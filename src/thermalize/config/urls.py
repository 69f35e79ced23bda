"""URLs in a configuration: what one may look like, said without repeating what may be a secret."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

__all__ = ["is_url", "url_fault"]

SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://")
NO_LISTING = "a web server does not list what it holds; write s3://bucket/prefix or the like"
REFUSED = {
    "memory": "memory:// is not shared between processes; write s3://bucket/prefix or file:///folder",
    "http": NO_LISTING,
    "https": NO_LISTING,
}
WHERE = "credentials belong into the environment or the provider's own files"


def is_url(text: str) -> bool:
    """Whether a place is named by a URL and not by a path."""
    return "://" in text


def url_fault(url: str) -> str | None:
    """What keeps a URL from naming a place of data for good, in words that repeat nothing of it."""
    if not SCHEME.match(url):
        return "it is no URL; write one such as s3://bucket/prefix or file:///folder"
    if "::" in url:
        return "chained URLs are not supported; write the address of the data alone"
    parts = urlsplit(url)
    if "@" in parts.netloc:
        return f"a name or password stands before the @; leave it out, {WHERE}"
    if parts.query or parts.fragment:
        return f"a query or fragment stands behind the path; leave it out, {WHERE}"
    return REFUSED.get(parts.scheme)
