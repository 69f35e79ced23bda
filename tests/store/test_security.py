"""Stores and files of data from somebody else are numbers and text: they run nothing, and read no other file."""

from __future__ import annotations

import ctypes
import json
import pickle
from pathlib import Path
from typing import Any

import netCDF4
import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr
from fsspec.implementations.memory import MemoryFileSystem
from import_data import ocean, section, write
from malicious import Order
from store_data import field, fill
from upath import UPath

from thermalize.config import ImportConfig
from thermalize.runtime.errors import UserError
from thermalize.store.codecs import refuse_codecs
from thermalize.store.netcdf import refuse_references
from thermalize.store.reading import for_zarr
from thermalize.truth.imported.archive import survey


def unpickling(store: Path, array: str, proof: Path) -> Path:
    """The store with an array of pickled objects in place of numbers."""
    description = json.loads((store / array / ".zarray").read_text())
    changes = {"dtype": "|O", "filters": [{"id": "pickle", "protocol": 5}], "compressor": None, "fill_value": None}
    (store / array / ".zarray").write_text(json.dumps({**description, **changes}))
    (store / array / "0").write_bytes(pickle.dumps(Order(proof)))
    return store


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """A store of the user's whose levels are pickled objects."""
    return unpickling(write(ocean(), tmp_path / "ocean.zarr"), "zl", tmp_path / "executed")


def test_an_import_unpickles_nothing(strange, tmp_path):
    with pytest.raises(UserError, match=r"zl/\.zarray names the codec 'pickle'"):
        survey(ImportConfig.model_validate(section(strange)))
    assert not (tmp_path / "executed").exists()


def test_a_store_of_the_results_unpickles_nothing(strange, tmp_path):
    with pytest.raises(UserError, match="names the codec 'pickle'"):
        for_zarr(strange)
    assert not (tmp_path / "executed").exists()


def test_a_store_at_a_url_unpickles_nothing(strange, tmp_path, monkeypatch):
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    memory = MemoryFileSystem()
    memory.put(str(strange), "/bucket/ocean.zarr", recursive=True)
    with pytest.raises(UserError, match="names the codec 'pickle'"):
        xr.open_dataset(for_zarr(UPath("memory://bucket/ocean.zarr")), engine="zarr", consolidated=False).load()
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "description",
    [
        {"zarr_format": 3, "codecs": [{"id": "zstd", "name": "numcodecs.pickle"}]},
        {"zarr_format": 2, "filters": [{"name": "zstd", "id": "pickle"}]},
        {"consolidated_metadata": {"metadata": {"attributes": {"zarr_format": 3, "codecs": [{"name": "pickle"}]}}}},
        {"zarr_format": 3, "codecs": [{"configuration": {}}]},
    ],
    ids=["two names", "two names, format 2", "array called attributes", "no name"],
)
def test_no_codec_hides_behind_another_name(description):
    with pytest.raises(UserError, match="names the codec"):
        refuse_codecs(json.dumps(description).encode(), "zarr.json")


def test_attributes_may_speak_of_codecs():
    refuse_codecs(json.dumps({"zarr_format": 3, "attributes": {"filters": ["low-pass"]}}).encode(), "zarr.json")


@pytest.mark.parametrize("name", ["q/0.0.0.0", "q", ".zattrs"], ids=["chunk", "array", "description"])
def test_links_in_a_store_of_the_user_are_not_followed(tmp_path, name):
    path = write(ocean(), tmp_path / "ocean.zarr")
    (path / name).rename(tmp_path / "secret")
    (path / name).symlink_to(tmp_path / "secret")
    with pytest.raises(UserError, match=f"{path / name} is a link, and none is followed in a Zarr store"):
        survey(ImportConfig.model_validate(section(path)))


def test_a_link_to_a_store_is_followed(tmp_path):
    path = write(ocean(), tmp_path / "ocean.zarr")
    (tmp_path / "link.zarr").symlink_to(path)
    assert survey(ImportConfig.model_validate(section(tmp_path / "link.zarr"))).lengths == [60]


def test_consolidated_descriptions_are_looked_at_too(strange):
    path = strange / "zl" / ".zarray"
    inner = json.loads(path.read_text())
    path.write_text(json.dumps({**inner, "filters": None}))
    (strange / ".zmetadata").write_text(json.dumps({"metadata": {"zl/.zarray": inner}, "zarr_consolidated_format": 1}))
    with pytest.raises(UserError, match=r"\.zmetadata names the codec 'pickle'"):
        for_zarr(strange)


def test_an_unfinished_store_is_held_to_the_list(tmp_path):
    root = tmp_path / "a.zarr.partial"
    fill(root, field())
    path = root / "velocity" / "zarr.json"
    description = json.loads(path.read_text())
    description["codecs"][0]["configuration"]["codecs"].append({"name": "my_package.run", "configuration": {}})
    path.write_text(json.dumps(description))
    with pytest.raises(UserError, match=r"velocity.* names the codec 'my_package\.run'"):
        for_zarr(root)


SOUND: list[tuple[int, dict[str, Any]]] = [
    (2, {}),
    (2, {"compressor": numcodecs.Zlib(3), "filters": [numcodecs.Delta("<f4"), numcodecs.Shuffle(4)]}),
    (2, {"compressor": numcodecs.Blosc("zstd", 3), "filters": [numcodecs.FixedScaleOffset(0, 100, "<f4", "<i2")]}),
    (2, {"compressor": None}),
    (3, {}),
    (3, {"shards": (8, 8), "chunks": (4, 4)}),
    (3, {"compressors": [zarr.codecs.BloscCodec(), zarr.codecs.Crc32cCodec()]}),
    (3, {"compressors": [zarr.codecs.GzipCodec()]}),
]


@pytest.mark.parametrize(("version", "options"), SOUND)
def test_what_others_write_is_read(version, options, tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=version)
    array = group.create_array("q", shape=(8, 8), dtype="f4", **{"chunks": (4, 4), **options})
    array.attrs.update({"codecs": [{"name": "of somebody"}], "filters": ["a word"]})
    array[:] = np.arange(64).reshape(8, 8)
    names = group.create_array("name", shape=(2,), dtype="str" if version == 3 else "<U3")
    names[:] = np.array(["a", "b"])
    assert zarr.open_group(for_zarr(tmp_path / "a.zarr"), mode="r")["q"][1, 1] == 9


@pytest.mark.parametrize(
    "description",
    [
        {"filters": [{"id": "pickle"}]},
        {"compressor": {"id": "pickle"}},
        {"codecs": [{"name": "numcodecs.pickle"}]},
        {"codecs": ["pickle"]},
        {"codecs": [{"name": "sharding_indexed", "configuration": {"index_codecs": [{"name": "other"}]}}]},
        {"consolidated_metadata": {"metadata": {"q": {"codecs": [{"name": "other"}]}}}},
        {"filters": [{"id": ["pickle"]}]},
        {"filters": [{}]},
    ],
)
def test_a_codec_that_is_not_known_is_refused_wherever_it_stands(description):
    with pytest.raises(UserError, match=r"^here names the codec"):
        refuse_codecs(json.dumps(description).encode(), "here")


NUMBERS = np.arange(8, dtype="<f4").tobytes()


def hdf5() -> ctypes.CDLL:
    """HDF5 as netCDF4 has loaded it, with what writes files."""
    library = ctypes.CDLL(netCDF4._netCDF4.__file__)
    for name in ("H5Fcreate", "H5Screate_simple", "H5Pcreate", "H5Dcreate2"):
        getattr(library, name).restype = ctypes.c_int64
    return library


def constant(library: ctypes.CDLL, name: str) -> ctypes.c_int64:
    return ctypes.c_int64.in_dll(library, name)


def referring(path: Path, kind: str, secret: Path) -> Path:
    """A NetCDF 4 file with a variable `q` of eight numbers, which lie in another file, or in itself for "nothing"."""
    library, zero = hdf5(), ctypes.c_int64(0)
    file = ctypes.c_int64(library.H5Fcreate(bytes(path), 2, zero, zero))
    if kind == "link":
        library.H5Lcreate_external(bytes(secret), b"/q", file, b"q", zero, zero)
    else:
        shape = (ctypes.c_uint64 * 1)(8)
        space = ctypes.c_int64(library.H5Screate_simple(1, shape, None))
        how = ctypes.c_int64(library.H5Pcreate(constant(library, "H5P_CLS_DATASET_CREATE_ID_g")))
        if kind == "storage":
            library.H5Pset_external(how, bytes(secret), ctypes.c_int64(0), ctypes.c_uint64(32))
        elif kind == "virtual":
            library.H5Pset_virtual(how, space, bytes(secret), b"/q", space)
        data = ctypes.c_int64(
            library.H5Dcreate2(file, b"q", constant(library, "H5T_IEEE_F32LE_g"), space, zero, how, zero)
        )
        if kind == "nothing":
            library.H5Dwrite(data, constant(library, "H5T_IEEE_F32LE_g"), zero, zero, zero, NUMBERS)
        for close, thing in (("H5Dclose", data), ("H5Pclose", how), ("H5Sclose", space)):
            getattr(library, close)(thing)
    library.H5Fclose(file)
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [("link", "an external link"), ("storage", "stored externally"), ("virtual", "a virtual dataset")],
)
def test_a_netcdf_file_that_reads_other_files_is_refused(kind, words, tmp_path):
    secret = tmp_path / "secret"
    if kind == "storage":
        secret.write_bytes(NUMBERS)
    else:
        referring(secret, "nothing", secret)
    path = referring(tmp_path / "a.nc", kind, secret)
    with netCDF4.Dataset(path) as opened:
        assert opened["q"][:].tolist() == list(range(8))  # which is why
    with pytest.raises(UserError, match=rf"a\.nc: q is {words}, which would read another file"):
        survey(ImportConfig.model_validate(section(path)))


@pytest.mark.parametrize("version", ["NETCDF4", "NETCDF4_CLASSIC", "NETCDF3_64BIT"])
def test_what_netcdf_writes_refers_to_nothing(version, tmp_path):
    path = tmp_path / "a.nc"
    dataset = ocean()
    dataset.to_netcdf(path, format=version)
    if version == "NETCDF4":
        dataset.to_netcdf(path, mode="a", group="deep/er", engine="netcdf4")
    refuse_references(path)
