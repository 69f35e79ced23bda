"""An object store of this machine's own: moto's S3 on loopback, and what lies in it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import fsspec
import pytest
from fsspec import AbstractFileSystem
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem

__all__ = ["SECRET", "Storage", "bucket", "disk", "reaching", "server"]

SECRET = "never-to-be-printed"


@dataclass(frozen=True)
class Storage:
    """A place at a URL where stores may lie."""

    url: str
    endpoint: str = ""

    @property
    def fs(self) -> AbstractFileSystem:
        return fsspec.url_to_fs(self.url, use_listings_cache=False)[0]

    @property
    def path(self) -> str:
        return str(fsspec.url_to_fs(self.url, use_listings_cache=False)[1])

    def objects(self, below: str = "") -> dict[str, str]:
        """Digest of every object below the place."""
        root = f"{self.path}{below}"
        found = self.fs.find(root)
        return {name.removeprefix(f"{root}/"): sha256(self.fs.cat_file(name)).hexdigest() for name in found}

    def stores(self, below: str = "/small/simulation") -> set[str]:
        """Names of the stores of which there is anything."""
        return {name.split("/")[0] for name in self.objects(below)}

    def put(self, name: str, content: bytes) -> None:
        self.fs.pipe_file(f"{self.path}/{name}", content)


def environment(endpoint: str) -> dict[str, str]:
    """What a user's environment says of an object store."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextmanager
def reaching(endpoint: str) -> Iterator[None]:
    """The environment names this endpoint meanwhile; connections that were open before are not used."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(endpoint).items():
            patch.setenv(name, value)
        S3FileSystem.clear_instance_cache()
        try:
            yield
        finally:
            S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an object store, which the environment names."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    found = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    found.start()
    host, port = found.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    with reaching(endpoint):
        yield endpoint
    found.stop()


@pytest.fixture
def bucket(server: str) -> Iterator[Storage]:
    """A place in an empty bucket."""
    found = Storage("s3://data/some/prefix", server)
    found.fs.mkdir("data")
    yield found
    found.fs.rm("data", recursive=True)


@pytest.fixture
def disk(tmp_path: Path) -> Storage:
    """A folder, which is faster where the provider makes no difference."""
    return Storage(f"file://{tmp_path}/disk")
