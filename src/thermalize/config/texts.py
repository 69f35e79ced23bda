"""Text in a configuration that becomes more than text: names of files, labels of figures, attributes, URLs.

Names become folders and files beside those that are made on the way (`small.partial`, `seed0.zarr`): a name that ends
like one of these could be taken for it, and is refused. Units and titles are drawn by Matplotlib and written into LaTeX
and NetCDF: signs that have a meaning there are refused, so that no text is ever read as a formula. What is wrong with a
URL is said without repeating it, since it may hold a secret.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

__all__ = ["is_url", "name_of_ours", "plain_units", "plain_words", "plainly", "url_fault"]

OURS = (".partial", ".zarr", ".old", ".blocks", ".garbage", ".lock", ".tmp", ".manifest.json", "zarr.json")
"""Endings of files and folders that are made beside results."""

FORMULA = frozenset('$\\{}#&~"`')
"""Signs that begin formulas, commands or comments in mathtext, LaTeX, or a shell."""


def name_of_ours(name: str) -> str:
    """A name that neither ends in a dot nor like a file of ours."""
    if name.endswith("."):
        raise ValueError(f"{name!r} ends in a dot, which not every file system keeps; leave it out")
    for ending in OURS:
        if name.lower().endswith(ending):
            raise ValueError(
                f"{name!r} ends in {ending!r} like files that are made beside results; choose another name"
            )
    return name


def plain_units(text: str) -> str:
    """Units such as m s-1: printable, without signs that begin a formula."""
    return _plain(text, "units", "write them as UDUNITS does, such as m s-1")


def plain_words(text: str) -> str:
    """A title in words: printable, without signs that begin a formula."""
    return _plain(text, "a title", "write it in words")


def plainly(units: str) -> str:
    """Units of a file as a configuration may state them: `m s^{-1}` and `$m s^{-1}$` are m s^-1."""
    return " ".join(
        "".join(sign for sign in units if sign not in FORMULA and (sign.isprintable() or sign.isspace())).split()
    )


def _plain(text: str, what: str, instead: str) -> str:
    wrong = next((sign for sign in text if sign in FORMULA or not sign.isprintable()), None)
    if wrong is not None:
        raise ValueError(f"{text!r} holds {wrong!r}, which {what} may not; {instead}")
    if text != text.strip():
        raise ValueError(f"{text!r} begins or ends with a space; {instead}")
    return text


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
