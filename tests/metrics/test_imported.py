"""Metrics of the user's own: what they are given, where their numbers go, and what is said of a wrong answer."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from diagnostics_data import FRAMES, LABELS, MEMBERS, STEPS, experiment, flow, rolled, started, trajectory

from thermalize.config import Experiment
from thermalize.figures.tabletext import format_terminal
from thermalize.metrics import registry
from thermalize.metrics.dataset import diagnose
from thermalize.metrics.declared import Variable
from thermalize.metrics.pooling import means, number
from thermalize.metrics.registry import Cell, Seeds, columns_of
from thermalize.runtime.errors import UserError
from thermalize.store.netcdf import read_dataset, write_dataset
from thermalize.workflow.steps import STEPS as TABLE
from thermalize.workflow.steps import settings_of

SOURCE = """
import numpy as np
import xarray as xr


def skewness(truth, rollout, power=3):
    half = truth.isel(member=truth.attrs["reference_half"])
    moments = [float((field**power).mean()) for field in (half, rollout)]
    return moments[1] - moments[0]


def extremes(truth, rollout):
    largest = abs(rollout).max(("time", "channel", "x")).assign_attrs(long_name="largest value", units="m s-1")
    lags = xr.DataArray(np.arange(3.0), dims="lag", attrs={"long_name": "something", "units": "1"})
    ratio = xr.DataArray(2.0, attrs={"long_name": "a ratio", "units": "1"})
    return xr.Dataset({"largest": largest, "lags": lags, "ratio": ratio})


def array(truth, rollout, **attributes):
    return xr.DataArray(np.ones(2), dims="pair", attrs=attributes)


def several(truth, rollout):
    return {"first": 1, "second": 2.5}


def broken(truth, rollout):
    return 1 / 0


def answer(truth, rollout, value=None):
    return value


def words(truth, rollout):
    return xr.DataArray(["a"], dims="letter", attrs={"long_name": "letters", "units": "1"})


def number(truth, rollout):
    return 1.0


def odd(truth, rollout, dtype="float64", name="own", coordinate="float64", **attributes):
    found = xr.DataArray(np.ones(2).astype(dtype), dims="pair", attrs={"long_name": "ones", "units": "1", **attributes})
    return xr.Dataset({name: found}, {"pair": np.arange(2).astype(coordinate)})


def attribute(truth, rollout, value):
    return xr.DataArray(1.0, attrs={"long_name": "one", "units": "1", "q": eval(value)})


def lazy(truth, rollout):
    return xr.apply_ufunc(lambda block: 1 / 0, rollout.chunk(), dask="parallelized", output_dtypes=[float])


def leaving(truth, rollout):
    raise SystemExit(0)
"""


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_metrics.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_metrics", raising=False)


def asking(**metrics: object) -> Experiment:
    """Each metric by its function, or function and options."""
    named = {}
    for name, told in metrics.items():
        function, options = told if isinstance(told, tuple) else (told, {})
        named[name] = {"kind": "import", "target": f"own_metrics:{function}", "options": options}
    return experiment(metrics=named)


def diagnosed(config: Experiment) -> xr.Dataset:
    truth, run = flow(0, MEMBERS, FRAMES), flow(1, MEMBERS, STEPS + 1)
    return diagnose(trajectory(truth), rolled(run), config, LABELS, started())


def test_numbers_arrays_and_datasets_begin_with_the_name_of_their_metric():
    config = asking(
        skew="skewness", wild="extremes", both="several", ones=("array", {"long_name": "ones", "units": "1"})
    )
    found = diagnosed(config)
    truth, run = (values.astype(np.float64) for values in (flow(0, MEMBERS, FRAMES), flow(1, MEMBERS, STEPS + 1)))
    assert float(found["skew"]) == pytest.approx((run**3).mean() - (truth[::2] ** 3).mean(), abs=1e-6)
    assert found["skew"].attrs == {"long_name": "skew", "units": "1", "metric": "skew"}
    np.testing.assert_allclose(found["wild_largest"], np.abs(run).max(axis=(1, 2, 3)), rtol=1e-6)
    assert found["wild_largest"].attrs["units"] == "m s-1"
    assert found["wild_largest"].dims == ("member",)
    assert found["wild_lags"].dims == ("wild_lag",)
    assert found["ones"].dims == ("ones_pair",)
    plain = diagnosed(asking())
    own = {"skew", "wild_largest", "wild_lags", "wild_ratio", "both_first", "both_second", "ones"}
    assert {*found.variables} - {*plain.variables} == own
    row = columns_of(Seeds([found, found], STEPS, 0.95))
    assert {name: row[name] for name in ("wild_ratio", "both_first", "both_second")} == {
        "wild_ratio": 2.0,
        "both_first": 1.0,
        "both_second": 2.5,
    }
    assert not {"ones", "wild_lags", "wild_largest"} & {*row}


def test_what_a_function_needs_is_given_as_options():
    fourth = diagnosed(asking(kurt=("skewness", {"power": 4})))
    assert float(fourth["kurt"]) != float(diagnosed(asking(kurt="skewness"))["kurt"])


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ("missing", "target 'own_metrics:missing': own_metrics .* has no function or class 'missing'"),
        ("broken", "diagnostics.metrics.own: own_metrics:broken raises ZeroDivisionError: division by zero"),
        (("answer", {"value": "much"}), "returns str; return a Dataset or DataArray, a number, or numbers"),
        ("answer", "returns NoneType; return a Dataset or DataArray"),
        (("answer", {"value": {}}), "returns dict; return a Dataset or DataArray"),
        ("words", "returns 'own' of type <U1; only numbers are kept"),
        (("array", {"units": "1"}), "returns 'own' without the attribute 'long_name'; set it to a text"),
        ("leaving", "raises SystemExit: 0"),
        ("lazy", "raises ZeroDivisionError: division by zero"),
        (("odd", {"dtype": "complex128"}), "returns 'own_own' of type complex128; only numbers are kept"),
        (("odd", {"dtype": "object"}), "returns 'own_own' of type object; only numbers are kept"),
        (("odd", {"dtype": "datetime64[s]"}), r"returns 'own_own' of type datetime64\[s\]; only numbers are kept"),
        (("odd", {"dtype": "float16"}), "returns 'own_own' of type float16; float32 or float64 are kept"),
        (("odd", {"coordinate": "complex128"}), "returns 'own_pair' of type complex128; only numbers are kept"),
        (("odd", {"coordinate": "datetime64[s]"}), r"returns 'own_pair' of type datetime64\[s\]; only numbers"),
        (("odd", {"coordinate": "object"}), "returns 'own_pair' of type object; only numbers are kept"),
        (("odd", {"name": "a/b"}), "returns 'own_a/b'; names are made of letters of the alphabet, digits and _"),
        (("odd", {"name": "a "}), "returns 'own_a '; names are made of"),
        (
            ("odd", {"scale_factor": 2.0}),
            "with the attribute 'scale_factor', which a file cannot keep or reads otherwise",
        ),
        (("odd", {"_FillValue": 1.0}), "with the attribute '_FillValue', which a file cannot keep or reads otherwise"),
        (("odd", {"NAME": "x"}), "with the attribute 'NAME', which a file cannot keep"),
        (("odd", {"a/b": "x"}), "with the attribute 'a/b', which a file cannot keep"),
        (("odd", {"units": "days since 2000-01-01"}), "'own_own' in 'days since 2000-01-01', which is read as a date"),
        (("attribute", {"value": "None"}), "with the attribute 'q', which is of type NoneType; make it a text"),
        (("attribute", {"value": "{}"}), "with the attribute 'q', which is of type dict"),
        (("attribute", {"value": "True"}), "with the attribute 'q', which is of type bool"),
        (("attribute", {"value": "1j"}), "with the attribute 'q', which is of type complex"),
        (("attribute", {"value": "2**70"}), "with the attribute 'q', which is of type int"),
        (("attribute", {"value": "np.ones((2, 2))"}), "with the attribute 'q', which has 2 dimensions"),
        (("attribute", {"value": "[[1], [1, 2]]"}), "with the attribute 'q', which "),
        (("attribute", {"value": "chr(0xD800)"}), "with the attribute 'q', which "),
        (("array", {"long_name": "ones"}), "returns 'own' without the attribute 'units'; set it to a text"),
        (
            ("skewness", {"strength": 3}),
            r"raises TypeError: skewness\(\) got an unexpected keyword argument 'strength'",
        ),
    ],
)
def test_a_wrong_answer_is_refused_in_one_sentence(told, sentence):
    with pytest.raises(UserError, match=sentence):
        diagnosed(asking(own=told))


@pytest.mark.parametrize("value", ["'text'", "1", "2.5", "[1, 2]", "['a', 'b']", "np.arange(3)", "np.float32(1)", "[]"])
def test_attributes_and_texts_beside_numbers_are_kept(tmp_path, value):
    config = asking(own=("attribute", {"value": value}), texts=("odd", {"coordinate": "str"}))
    found = diagnosed(config)
    write_dataset(tmp_path / "a.nc", found)
    read = read_dataset(tmp_path / "a.nc")
    assert np.array_equal(read["own"].attrs["q"], found["own"].attrs["q"])
    assert [*read["texts_pair"].values] == ["0", "1"]


def test_a_name_of_ours_or_of_another_metric_is_refused():
    with pytest.raises(UserError, match="returns 'survival', as another metric is called; rename one"):
        diagnosed(asking(survival="number"))
    with pytest.raises(UserError, match=r"diagnostics\.metrics\.a_first returns 'a_first', as another metric"):
        diagnosed(asking(a="several", a_first="number"))


def test_the_module_and_the_settings_of_a_metric_are_what_diagnose_depends_on_and_nothing_else(tmp_path):
    plain, own = asking(), asking(own=("skewness", {"power": 4}))
    assert TABLE["diagnose"].files(plain, "unet", "none", "0") == []
    assert TABLE["diagnose"].files(own, "unet", "none", "0") == [str(tmp_path / "own_metrics.py")]
    wildcards = {"emulator": "unet", "stabilizer": "none", "seed": "0", "diffusion": "none"}
    changed = {
        step
        for step in ("reference", "sample", "rollout", "diagnose", "ensemble")
        if json.dumps(settings_of(plain, step, wildcards)) != json.dumps(settings_of(own, step, wildcards))
    }
    assert changed == {"diagnose"}


def test_a_family_of_metrics_is_all_that_a_new_metric_takes(monkeypatch):
    """Its variables are in the file and in the check of what is read, its column in the table and on the terminal."""
    monkeypatch.setattr(registry, "FAMILIES", dict(registry.FAMILIES))
    largest = Variable((), "largest value of the rollout", "{field}", known=True)
    cell = Cell("largest", lambda row, _: number(row.largest), 25)

    @registry.family({"largest": largest}, columns=means("largest"), cells=(cell,))
    def extremes(case):
        return {"largest": float(abs(case.states).max())}

    found = diagnosed(asking())
    assert found["largest"].attrs == {"long_name": "largest value of the rollout", "units": "1"}
    assert "largest" in registry.variables()
    row = columns_of(Seeds([found], STEPS, 0.95))
    assert row["largest"] == float(found["largest"])
    assert [each.title for each in registry.cells()].index("largest") == 4
    table = pd.DataFrame(
        [{"emulator": "unet", "stabilizer": "none", **row, "seconds_per_step": 0.1, "cost_ratio": 1.0}]
    )
    assert "largest" in format_terminal(table.assign(cost_ratio_low=1.0, cost_ratio_high=1.0))
