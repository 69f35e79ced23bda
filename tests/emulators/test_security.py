"""Nothing that a program of torch.export says is executed, and sound programs give the numbers that torch gives."""

from __future__ import annotations

import io
import json
import pickle
import random
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from malicious import Doubled, Order, Program, command, exported, expressions, in_sizes, rewritten, tampered
from torch import Tensor, nn

from thermalize.config import EmulatorConfig
from thermalize.emulators.exported import load_program
from thermalize.emulators.operations import operation
from thermalize.emulators.residual import ResidualEmulator
from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError


@pytest.fixture(scope="module")
def sound() -> bytes:
    return exported(Doubled())


def graph(program: Program) -> Program:
    return program["graph_module"]["graph"]


def in_one_derived_size(program: Program, proof: Path) -> None:
    derived = next(each for each in expressions(program) if each["expr_str"].startswith("Mul"))
    derived["expr_str"] = f"Mul({command(proof)}, {derived['expr_str']})"


def in_quotes(program: Program, proof: Path) -> None:
    for each in expressions(program):
        each["expr_str"] = f"Symbol('s77', positive={command(proof)})"


def as_guard(program: Program, proof: Path) -> None:
    program["guards_code"] = [command(proof)]


def as_range(program: Program, proof: Path) -> None:
    program["range_constraints"] = {command(proof): {"min_val": 0, "max_val": None}}


def as_name(program: Program, proof: Path) -> None:
    """A name is written into Python code by torch."""
    text = json.dumps(program).replace('"add_1"', json.dumps(f"add_1 = {command(proof)}"))
    program.update(json.loads(text))


def as_parameter(program: Program, proof: Path) -> None:
    placeholder = f"x={command(proof)}"
    text = json.dumps(program).replace('{"name": "x"}', json.dumps({"name": placeholder}))
    program.update(json.loads(text.replace('"x": {"dtype"', f"{json.dumps(placeholder)}: " + '{"dtype"')))


def as_subgraph_name(program: Program, proof: Path) -> None:
    state = {"as_tensor": {"name": "x"}}
    inner = {**graph(program), "nodes": [], "inputs": [state], "outputs": [state], "is_single_tensor_return": True}
    branch = {"as_graph": {"name": f"g, {command(proof)}", "graph": inner}}
    calling("torch.ops.higher_order.wrap_with_set_grad_enabled", {"as_bool": False}, branch, state)(program, proof)


def as_treespec(program: Program, proof: Path) -> None:
    spec = {"type": "collections.namedtuple", "context": command(proof), "children_spec": []}
    program["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = json.dumps([1, spec])


def as_metadata(program: Program, proof: Path) -> None:
    for node in graph(program)["nodes"]:
        node["metadata"] = dict.fromkeys(("stack_trace", "nn_module_stack", "source_fn_stack"), f"a,{command(proof)}")


def calling(target: str, *arguments: Program) -> Callable[[Program, Path], None]:
    def change(program: Program, proof: Path) -> None:
        node = graph(program)["nodes"][-1]
        given = arguments or ({"as_string": str(proof)},)
        node["target"] = target
        node["inputs"] = [{"name": "", "arg": each, "kind": 1} for each in given]

    change.__name__ = f"calling {target}"
    return change


ATTACKS = [
    *(in_sizes, in_one_derived_size, in_quotes, as_guard, as_range, as_name, as_parameter, as_subgraph_name),
    *(as_treespec, as_metadata),
    *(
        calling(target)
        for target in (
            "torch.os.mkdir",
            "torch._dynamo.config.os.mkdir",
            "torch.ops.aten.from_file.default",
            "torch.ops.aten.save.default",
            "torch.ops.aten.__class__.mro",
            "_operator.attrgetter",
            "_operator.methodcaller",
            "#thermalize:mkdir",
            "torch.ops.higher_order.triton_kernel_wrapper_functional",
            "torch.ops.load_library",
            "torch.load",
        )
    ),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda each: each.__name__)
def test_nothing_that_a_program_says_is_executed(attack, sound, tmp_path):
    proof, x = tmp_path / "executed", torch.ones(3, 1, 8)
    program = rewritten(sound, lambda content: attack(content, proof))
    with suppress(UserError):  # what is never read does no harm and is not refused
        assert load_program(Path("a.pt2"), program)(x).shape == x.shape
    assert not proof.exists()


@pytest.mark.parametrize("attack", [in_sizes, in_one_derived_size, in_quotes], ids=lambda each: each.__name__)
def test_a_size_that_torch_does_not_write_is_named(attack, sound, tmp_path):
    with pytest.raises(UserError, match=r"a\.pt2 is not run: it states a size as .*__import__"):
        load_program(Path("a.pt2"), rewritten(sound, lambda content: attack(content, tmp_path)))


def test_an_operation_that_is_not_known_is_named(sound, tmp_path):
    attack = calling("torch.os.mkdir")
    with pytest.raises(UserError, match=r"it calls 'torch\.os\.mkdir', which is none of the operations"):
        load_program(Path("a.pt2"), rewritten(sound, lambda content: attack(content, tmp_path)))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("data/aotinductor/model/wrapper.so", b"\x7fELF", "holds machine code"),
        ("data/constants/opaque_obj_0", b"", "holds pickled objects"),
        ("data/constants/custom_obj_0", b"", "holds pickled objects"),
        ("data/weights/model.pt", b"", "no part of a program"),
        ("models/other.json", b"{}", "no part of a program"),
        ("../outside", b"", "no part of a program"),
        ("models/model.json", b"{}", "twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_part_that_is_not_known_is_refused(name, content, sentence, sound):
    with pytest.raises(UserError, match=sentence):
        load_program(Path("a.pt2"), tampered(sound, {}, {name: content}))


def test_pickles_are_neither_loaded_nor_needed(sound, tmp_path):
    proof, sample = tmp_path / "executed", io.BytesIO()
    torch.save(((Order(proof),), {}), sample)
    program = tampered(sound, {"sample_inputs/model.pt": sample.getvalue()})
    assert load_program(Path("a.pt2"), program)(torch.ones(1, 1, 8)).shape == (1, 1, 8)
    pickled = json.dumps({"config": {"scale": {"path_name": "weight_0", "is_param": True, "use_pickle": True}}})
    changes = {"model_weights_config.json": pickled.encode(), "weights/weight_0": pickle.dumps(Order(proof))}
    with pytest.raises(UserError, match="pickled objects, which are never loaded"):
        load_program(Path("a.pt2"), tampered(sound, changes))
    assert not proof.exists()


@pytest.mark.parametrize("cut", ["nodes", "inputs", "outputs", "tensor_values"])
def test_a_graph_that_lacks_something_is_refused(cut, sound):
    with pytest.raises(UserError, match="cannot be read as a program"):
        load_program(Path("a.pt2"), rewritten(sound, lambda content: graph(content).pop(cut)))


def test_nesting_and_sizes_that_would_exhaust_the_machine_are_refused(sound):
    deep = tampered(sound, {"models/model.json": b"[" * 100_000})
    with pytest.raises(UserError, match=r"^a\.pt2 "):
        load_program(Path("a.pt2"), deep)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sound)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(UserError, match="is compressed"):  # which is how a small file becomes a large one
        load_program(Path("a.pt2"), out.getvalue())


def test_weights_beyond_their_file_are_refused(sound):
    name = "archive/data/weights/model_weights_config.json"
    content = json.loads(zipfile.ZipFile(io.BytesIO(sound)).read(name))
    content["config"]["shift"]["tensor_meta"]["sizes"] = [{"as_int": 1_000_000}]
    with pytest.raises(UserError, match="more numbers than there are in its file"):
        load_program(Path("a.pt2"), tampered(sound, {name: json.dumps(content).encode()}))


def test_states_of_another_shape_are_refused_and_members_are_free(sound):
    program = load_program(Path("a.pt2"), sound)
    assert program(torch.ones(5, 1, 8)).shape == (5, 1, 8)
    with pytest.raises(UserError, match=r"exported for states of shape \[free, 1, 8\]"):
        program(torch.ones(5, 1, 9))
    with pytest.raises(UserError, match=r"exported for states of shape \[2, 1, 8\]"):
        load_program(Path("a.pt2"), exported(Doubled(), dynamic=False))(torch.ones(3, 1, 8))


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.cond(x.sum() > 0, lambda a: (a + 1).clone(), lambda a: (a - 1).clone(), (x,))
        with torch.no_grad():
            z = y.sum()
        return y * z


class Layers(nn.Module):
    """Several outputs, mixed precision, statistics that no call changes, types, devices, work in place."""

    def __init__(self) -> None:
        super().__init__()
        self.batch, self.layer, self.dropout = nn.BatchNorm1d(1).eval(), nn.LayerNorm(8), nn.Dropout(0.5).eval()
        self.group, self.smaller = nn.GroupNorm(2, 4), nn.Upsample(scale_factor=0.5, mode="linear")
        self.many, self.recurrent = nn.Conv1d(1, 4, 3, padding=1, padding_mode="circular"), nn.LSTM(8, 4, 2)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.dropout(self.batch(x)).relu_()
        y = y + torch.nn.functional.interpolate(self.smaller(self.group(self.many(y))), 8).mean(1, keepdim=True)
        y = y + self.recurrent(y.transpose(0, 1))[0].sum(-1).t()[..., None]
        y = y + self.attention(y, y, y, need_weights=False)[0]
        first, second = y.chunk(2, -1)
        most, _ = torch.topk(x, 2, -1)
        with torch.autocast("cpu", torch.bfloat16):
            product = x @ x.transpose(-1, -2)
        spectrum = torch.fft.rfft(nn.functional.pad(x, (2, 2), mode="circular")) * 2j
        y = torch.cat((second, first), -1) + most.sum(-1, keepdim=True) + product.float()
        return self.layer(y) + torch.fft.irfft(spectrum, n=12)[..., :8] + torch.zeros(8, device=x.device).to(x.dtype)


def network(kind: str, dims: int, **options: Any) -> nn.Module:
    config = EmulatorConfig.model_validate(
        {"network": {"kind": kind, "width": 4, **options}, "training": {"updates": 1}}
    )
    return ResidualEmulator(config, dims, 2, Normalization((0.0, 0.0), (1.0, 1.0)))


class Strange(nn.Module):
    """What torch writes with operations that need a check: views, memory that nobody has filled, attention."""

    def forward(self, x: Tensor) -> Tensor:
        windows = x.as_strided((x.shape[0], 1, 4), (8, 8, 2))
        filled = torch.empty_like(x).copy_(x)
        q = x.reshape(x.shape[0], 1, 4, 2)
        mixed = nn.functional.scaled_dot_product_attention(q, q, q).reshape(x.shape)
        factors = torch.linalg.lu_factor_ex(torch.eye(8) * 2)[:2]
        solved = torch.linalg.lu_solve(*factors, x.transpose(1, 2)).transpose(1, 2)
        places = torch.tensor([1, 0, 3, 2, 5, 4, 7, 6])
        return filled[..., places] + mixed + solved + windows.sum(-1, keepdim=True)


SOUND: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "branches": (Branches, (1, 8)),
    "layers": (Layers, (1, 8)),
    "strange": (Strange, (1, 8)),
    "unet": (lambda: network("unet", 1, multipliers=[1, 2]), (2, 16)),
    "fno": (lambda: network("fno", 2, modes=3, blocks=1), (2, 16, 16)),
}


@cache
def written_by_torch(name: str) -> torch.export.ExportedProgram:
    """As torch writes it, which takes seconds."""
    torch.manual_seed(1)
    make, shape = SOUND[name]
    return torch.export.export(make(), (torch.randn(3, *shape),), dynamic_shapes=({0: torch.export.Dim("batch")},))


@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.parametrize("name", SOUND)
def test_sound_programs_give_the_numbers_that_torch_gives(name, decomposed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about itself
        program = written_by_torch(name).run_decompositions() if decomposed else written_by_torch(name)
        out = io.BytesIO()
        torch.export.save(program, out)
        expected = torch.export.load(io.BytesIO(out.getvalue())).module()
        found = load_program(Path("a.pt2"), out.getvalue())
        x = torch.randn(5, *SOUND[name][1])
        assert torch.equal(found(x.clone()), expected(x.clone()))
    state = {f"module.{name}": value for name, value in expected.state_dict().items()}
    assert state.keys() == found.state_dict().keys()
    assert all(torch.equal(value, state[name]) for name, value in found.state_dict().items())


def called(target: str, **arguments: Program) -> Callable[[Program, Path], None]:
    """The last node calls `target` with arguments by name."""

    def change(program: Program, proof: Path) -> None:
        node = graph(program)["nodes"][-1]
        node["target"] = f"torch.ops.{target}"
        node["inputs"] = [{"name": name, "arg": each, "kind": 2} for name, each in arguments.items()]

    return change


X: Program = {"as_tensor": {"name": "x"}}
SHIFT: Program = {"as_tensor": {"name": "b_shift"}}


def ints(*values: int) -> Program:
    return {"as_ints": list(values)}


UNCHECKED = {
    "aten._reshape_alias.default": {"self": SHIFT, "size": ints(1, 1, 8), "stride": ints(1, 1, 10**9)},
    "aten.segment_reduce.default": {"data": SHIFT, "reduce": {"as_string": "max"}, "unsafe": {"as_bool": True}},
    "aten.empty_strided.default": {"size": ints(3, 1, 8), "stride": ints(99, 99, 9)},
    "aten.new_empty_strided.default": {"self": X, "size": ints(3, 1, 8), "stride": ints(99, 99, 9)},
    "aten.embedding_dense_backward.default": {"grad_output": X},
    "aten._embedding_bag.default": {"weight": X},
    "aten._unsafe_masked_index.default": {"self": X},
    "aten._index_put_impl_.default": {"self": X},
    "aten.set_.source_Tensor": {"self": X, "source": SHIFT},
    "aten.resize_.default": {"self": X, "size": ints(10**6)},
    "aten._sparse_coo_tensor_unsafe.default": {"indices": X},
    "aten.lstm.data": {"data": X},
    "prims.copy_strided.default": {"a": X, "stride": ints(1, 1, 99)},
    "aten.manual_seed.default": {"seed": {"as_int": 1}},
}


@pytest.mark.parametrize("target", UNCHECKED)
def test_an_operation_that_torch_does_not_check_is_none_of_those_known(target, sound, tmp_path):
    attack = called(target, **UNCHECKED[target])
    with pytest.raises(UserError, match="which is none of the operations"):
        load_program(Path("a.pt2"), rewritten(sound, lambda content: attack(content, tmp_path)))


def test_no_operation_is_known_that_is_named_or_takes_an_argument_that_turns_checks_off():
    banned = re.compile("unsafe|backward|resize|empty_strided|reshape_alias|sparse")
    for schema in torch._C._jit_get_all_schemas():
        namespace, name = schema.name.split("::")
        if namespace not in ("aten", "prims"):
            continue
        arguments = {each.name for each in schema.arguments}
        if banned.search(name) or arguments & {"unsafe", "check_bounds", "check_invariants", "check_indices"}:
            with suppress(UserError):
                found = operation(f"torch.ops.{namespace}.{name}.{schema.overload_name or 'default'}")
                assert not banned.search(found._schema.name), found


BEYOND = {
    "aten.as_strided.default": {"self": SHIFT, "size": ints(3, 1, 8), "stride": ints(0, 0, 10**9)},
    "aten.as_strided_copy.default": {"self": SHIFT, "size": ints(3, 1, 8), "stride": ints(0, 0, 2)},
    "prims.as_strided.default": {
        "a": X, "size": ints(3, 1, 8), "stride": ints(0, 0, 1), "storage_offset": {"as_int": 10**6},
    },
    "aten._fft_c2c.default": {
        "self": X, "dim": ints(2**40), "normalization": {"as_int": 0}, "forward": {"as_bool": True},
    },
    "aten._fft_r2c.default": {
        "self": X, "dim": ints(2, -2), "normalization": {"as_int": 0}, "onesided": {"as_bool": True},
    },
    "aten._fft_c2r.default": {
        "self": X, "dim": ints(2), "normalization": {"as_int": 0}, "last_dim_size": {"as_int": 10**6},
    },
    "aten.native_batch_norm.default": {
        "input": X, "weight": SHIFT, "bias": SHIFT, "running_mean": {"as_none": True}, "running_var": {"as_none": True},
        "training": {"as_bool": False}, "momentum": {"as_float": 0.1}, "eps": {"as_float": 1.0},
    },
    "aten.native_group_norm.default": {
        "input": X, "weight": SHIFT, "bias": SHIFT, "N": {"as_int": 10**6}, "C": {"as_int": 8},
        "HxW": {"as_int": 10**6}, "group": {"as_int": 1}, "eps": {"as_float": 1.0},
    },
    "aten._weight_norm_interface.default": {"v": X, "g": {"as_tensor": {"name": "p_scale"}}, "dim": {"as_int": 2}},
    "aten.upsample_nearest1d.default": {"self": X, "output_size": ints(8), "scales": {"as_float": 1e-30}},
    "aten.grid_sampler_2d.default": {
        "input": X, "grid": X, "interpolation_mode": {"as_int": 9}, "padding_mode": {"as_int": 0},
        "align_corners": {"as_bool": False},
    },
    "aten.view.dtype": {"self": X, "dtype": {"as_scalar_type": 12}},
}  # fmt: skip


@pytest.mark.parametrize("target", BEYOND)
def test_arguments_that_lead_out_of_the_memory_are_refused_before_they_are_followed(target, sound, tmp_path):
    attack = called(target, **BEYOND[target])
    program = load_program(Path("a.pt2"), rewritten(sound, lambda content: attack(content, tmp_path)))
    with pytest.raises(UserError, match=r"^a\.pt2 fails on .* with arguments that do not fit each other"):
        program(torch.ones(3, 1, 8))


@pytest.mark.parametrize("target", ["aten.sum.default", "aten.promote_types.default"])
def test_a_type_is_never_a_number_that_torch_would_take_for_one(target, sound, tmp_path):
    named = {"self": X, "dtype": {"as_int": 999}}
    arguments = named if target == "aten.sum.default" else {"type1": {"as_int": 999}, "type2": {"as_int": 6}}
    with pytest.raises(UserError, match=r"with '999' for '(dtype|type1)'"):
        load_program(Path("a.pt2"), rewritten(sound, lambda content: called(target, **arguments)(content, tmp_path)))


def test_memory_that_nobody_has_filled_holds_zeros(sound, tmp_path):
    attack = called("aten.empty_like.default", self=X)
    program = load_program(Path("a.pt2"), rewritten(sound, lambda content: attack(content, tmp_path)))
    assert program(torch.ones(3, 1, 8)).count_nonzero() == 0


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class Counting(nn.Module):
    """Its change of a buffer is a node of the program, or after decomposition one of its results."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1, 8))

    def forward(self, x: Tensor) -> Tensor:
        self.calls[:, :4].add_(1)
        return x + self.calls


CHANGING: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "noise": (
        Noisy,
        r"it draws random numbers \(aten::randn_like\), but a state has one next state; call `\.eval\(\)`",
    ),
    "dropout": (lambda: nn.Dropout(0.5).train(), r"it draws random numbers \(aten::(native_dropout|dropout|bernoulli)"),
    "counting": (Counting, r"it changes its buffer 'calls' when it runs"),
    "batch normalization": (
        lambda: nn.BatchNorm1d(1).train(),
        r"it changes the statistics of its batch normalization when it runs.*; call `\.eval\(\)` on the module before",
    ),
}


@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.parametrize("name", CHANGING)
def test_a_program_that_is_no_map_of_states_is_refused_before_it_runs(name, decomposed):
    make, sentence = CHANGING[name]
    x, out = torch.ones(2, 1, 8), io.BytesIO()
    program = torch.export.export(make(), (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about itself
        torch.export.save(program.run_decompositions() if decomposed else program, out)
    with pytest.raises(UserError, match=rf"^a\.pt2 is not run: {sentence}"):
        load_program(Path("a.pt2"), out.getvalue())


def bounded_by_text(program: Program) -> None:
    program["range_constraints"] = {name: {"min_val": "a", "max_val": None} for name in program["range_constraints"]}


def changing_what_is_not_there(program: Program) -> None:
    mutation = {"buffer_mutation": {"arg": {"name": "x"}, "buffer_name": "forward"}}
    program["graph_module"]["signature"]["output_specs"].append(mutation)
    graph(program)["outputs"].append(X)


@pytest.mark.parametrize("change", [bounded_by_text, changing_what_is_not_there], ids=lambda each: each.__name__)
def test_a_program_that_could_not_be_run_is_refused_when_it_is_read(change, sound):
    with pytest.raises(UserError, match=r"^a\.pt2 is not run: it (bounds a size|changes its buffer)"):
        load_program(Path("a.pt2"), rewritten(sound, change))


def dividing_by_zero(program: Program) -> None:
    inputs = [{"name": name, "arg": {"as_int": value}, "kind": 1} for name, value in (("a", 1), ("b", 0))]
    output = {"as_sym_int": {"as_name": "q"}}
    graph(program)["nodes"].insert(0, {"target": "_operator.floordiv", "inputs": inputs, "outputs": [output]})


def returning_a_number(program: Program) -> None:
    graph(program)["outputs"] = [{"as_sym_int": {"as_int": 3}}]


def adding_nothing_known(program: Program) -> None:
    graph(program)["nodes"][-1]["inputs"][0]["name"] = "nothing"
    graph(program)["nodes"][-1]["inputs"][0]["kind"] = 2


@pytest.mark.parametrize(
    "change", [dividing_by_zero, returning_a_number, adding_nothing_known], ids=lambda each: each.__name__
)
def test_a_program_that_fails_says_so_in_one_sentence(change, sound):
    program = load_program(Path("a.pt2"), rewritten(sound, change))
    with pytest.raises(
        UserError, match=r"^a\.pt2 (fails on states of shape \[3, 1, 8\], \w+Error|returns int in place)"
    ):
        program(torch.ones(3, 1, 8))


def flagged(program: bytes) -> bytes:
    """Every member says that it is encrypted."""
    data = bytearray(program)
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        place = data.find(signature)
        while place >= 0:
            data[place + offset] |= 1
            place = data.find(signature, place + 4)
    return bytes(data)


def lying(program: bytes) -> bytes:
    """A member says that it has four gigabytes."""
    data = bytearray(program)
    place = data.rfind(b"PK\x01\x02")
    data[place + 20 : place + 28] = 2 * struct.pack("<I", 0xFFFFFFF0)
    return bytes(data)


@pytest.mark.parametrize("change", [flagged, lying])
def test_an_archive_that_cannot_be_unpacked_is_refused(change, sound):
    with pytest.raises(UserError, match=r"^a\.pt2 is (encrypted|damaged)"):
        load_program(Path("a.pt2"), change(sound))


@pytest.mark.parametrize("seed", range(40))
def test_an_archive_with_damaged_headers_ends_in_one_sentence_or_runs(seed, sound):
    chance, data = random.Random(seed), bytearray(sound)
    headers = [place for place in range(len(data) - 40) if data[place : place + 2] == b"PK"]
    for _ in range(3):
        data[chance.choice(headers) + chance.randrange(40)] = chance.randrange(256)
    with suppress(UserError):
        load_program(Path("a.pt2"), bytes(data))(torch.ones(3, 1, 8))
