"""Nothing that a program of torch.export says is executed, and sound programs give the numbers that torch gives."""

from __future__ import annotations

import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from malicious import Order, exported, rewritten, tampered
from torch import Tensor, nn

from thermalize.config import EmulatorConfig
from thermalize.emulators.base import ResidualEmulator
from thermalize.emulators.exported import load_program
from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError

Program = dict[str, Any]


class Doubled(nn.Module):
    """An expression in the size of a value, a parameter, a buffer and a constant."""

    def __init__(self, points: int = 8) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("shift", torch.ones(points))
        self.constant = torch.arange(float(points))

    def forward(self, x: Tensor) -> Tensor:
        y = x.reshape(x.shape[0] * 2, -1).reshape(x.shape)
        return self.scale * y + self.shift + self.constant


@pytest.fixture(scope="module")
def sound() -> bytes:
    return exported(Doubled())


def command(proof: Path) -> str:
    return f"__import__('os').mkdir({str(proof)!r})"


def graph(program: Program) -> Program:
    return program["graph_module"]["graph"]


def expressions(value: Any) -> Iterator[Program]:
    if isinstance(value, dict):
        if "expr_str" in value:
            yield value
        for each in value.values():
            yield from expressions(each)
    elif isinstance(value, list):
        for each in value:
            yield from expressions(each)


def in_sizes(program: Program, proof: Path) -> None:
    for each in expressions(program):
        each["expr_str"] += f" + {command(proof)}"


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
    with pytest.raises(UserError, match="cannot be read as a program"):
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
    """Several outputs, random ones, mixed precision, statistics that a call changes, types and devices."""

    def __init__(self) -> None:
        super().__init__()
        self.batch, self.layer = nn.BatchNorm1d(1), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.batch(x)
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


SOUND: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "branches": (Branches, (1, 8)),
    "layers": (Layers, (1, 8)),
    "unet": (lambda: network("unet", 1, multipliers=[1, 2]), (2, 16)),
    "fno": (lambda: network("fno", 2, modes=3), (2, 16, 16)),
}


@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.parametrize("name", SOUND)
def test_sound_programs_give_the_numbers_that_torch_gives(name, decomposed):
    torch.manual_seed(1)
    make, shape = SOUND[name]
    x = torch.randn(3, *shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about itself
        program = torch.export.export(make(), (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        program = program.run_decompositions() if decomposed else program
        out = io.BytesIO()
        torch.export.save(program, out)
        expected = torch.export.load(io.BytesIO(out.getvalue())).module()
        found = load_program(Path("a.pt2"), out.getvalue())
        x = torch.randn(5, *shape)
        assert torch.equal(found(x.clone()), expected(x.clone()))
    state = {f"module.{name}": value for name, value in expected.state_dict().items()}
    assert state.keys() == found.state_dict().keys()
    assert all(torch.equal(value, state[name]) for name, value in found.state_dict().items())
