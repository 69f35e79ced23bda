"""What a user reads when a configuration is refused: the dotted key, the value, its unit and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_origin

from pydantic import BaseModel, ValidationError

from thermalize.config.places import Place, bare, choices, fields_of, kinds, locate, members, unit_of, words

__all__ = ["refusal", "sentences"]

NON_DIMENSIONAL = ("time units", "length units")
RELATIONS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
LISTS = ("tuple_type", "list_type")
WRONG_TYPES = (*LISTS, "int_type", "float_type", "string_type", "bool_type", "literal_error")
NAME_RULE = "use letters, digits, '.', '_' and '-', beginning with a letter or digit"
LONGEST_VALUE = 60
LONGEST_SENTENCE = 600
MOST_FAULTS = 20
NEAR_KEY = 0.6
NEAR_VALUE = 0.75


@dataclass(frozen=True)
class Fault:
    """What the validator found at one place."""

    place: Place
    type: str
    value: Any
    context: dict[str, Any]

    @property
    def shown(self) -> str:
        if self.value is None:
            return "an empty value"
        text = repr(self.value) if isinstance(self.value, str) else json.dumps(self.value, ensure_ascii=False)
        return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def refusal(source: str, error: ValidationError, root: type[BaseModel]) -> str:
    """What is said of a file with faults: of one in a sentence, of several on a line each, of many only the first."""
    found = _faults(error, root)
    shown = [_bounded(_sentence(fault)) for fault in found[:MOST_FAULTS]]
    if len(found) == 1:
        return f"{source}: {shown[0]}"
    more = [f"and {len(found) - MOST_FAULTS:,} more"] if len(found) > MOST_FAULTS else []
    return f"{source} has {len(found):,} faults:\n  " + "\n  ".join([*shown, *more])


def sentences(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """One sentence per faulty key, the deepest keys first."""
    return [_bounded(_sentence(fault)) for fault in _faults(error, root)]


def _faults(error: ValidationError, root: type[BaseModel]) -> list[Fault]:
    """One per faulty key, the deepest keys first; a missing key is none where an unknown one was meant to be it."""
    groups: dict[tuple[str | int, ...], list[Fault]] = {}
    for each in error.errors(include_url=False):
        fault = Fault(locate(root, each["loc"]), each["type"], each["input"], each.get("ctx", {}))
        groups.setdefault(fault.place.keys, []).append(fault)
    # Of a union's alternatives, the one whose type was right says most.
    faults = [min(group, key=lambda fault: fault.type in WRONG_TYPES) for group in groups.values()]
    unknown = [fault.place for fault in faults if fault.type == "extra_forbidden"]
    meant = {(*place.keys[:-1], _nearest(place)) for place in unknown} if len(unknown) <= MOST_FAULTS else set()
    faults = [fault for fault in faults if fault.type != "missing" or fault.place.keys not in meant]
    return sorted(faults, key=lambda fault: -len(fault.place.keys))


def _bounded(sentence: str) -> str:
    """One line that fits on a screen, whatever the file holds."""
    line = " ".join(sentence.split())
    return line if len(line) <= LONGEST_SENTENCE else f"{line[:LONGEST_SENTENCE]}…"


def _sentence(fault: Fault) -> str:
    if fault.type == "value_error":
        return _own_words(fault.place, str(fault.context["error"]))
    if fault.type.startswith("union_tag"):
        return f"{fault.place.path}.kind: {_unknown_kind(fault)}"
    write = _out_of_bounds if fault.type in RELATIONS else SENTENCES.get(fault.type, _wrong_type)
    return f"{fault.place.path}: {write(fault)}"


def _own_words(place: Place, message: str) -> str:
    """The sentence of a validator, whose keys are those of the section it stands in."""
    if not place.keys:
        return message
    names_key = re.split(r"\W", message, maxsplit=1)[0] in fields_of(place.expected)
    return f"{place.path}{'.' if names_key else ': '}{message}"


def _wrong_type(fault: Fault) -> str:
    expected = fault.place.expected
    if kinds(expected):
        return f"{fault.shown} is not a section; write `kind:` below it, one of {', '.join(kinds(expected))}"
    if fields_of(expected):
        return f"{fault.shown} is not a section; its keys are {', '.join(fields_of(expected))}"
    if get_origin(bare(expected)) is dict:
        return f"{fault.shown} is not a section; write named entries below it"
    hint = f"; write [{fault.shown}]" if fault.type in LISTS else _unit_phrase(fault.place)
    return f"{fault.shown} is not {words(fault.place.alternatives)}{hint}"


def _unit_phrase(place: Place) -> str:
    unit = unit_of(place.field)
    if unit is None:
        return ""
    if unit == "1":
        return "; it has no unit"
    return f"; it is in {unit}{' (the system is non-dimensional)' if unit in NON_DIMENSIONAL else ''}"


def _missing(fault: Fault) -> str:
    place = fault.place
    # Of a section with several shapes, the first is the usual one.
    needed = [name for name, field in fields_of(members(place.expected)[0]).items() if field.is_required()]
    if needed:
        return f"this section is missing; add it with at least {', '.join(needed)}"
    if choices(place.expected):
        return f"this key is missing; known: {', '.join(choices(place.expected))}"
    description = (place.field.description if place.field else None) or words(place.expected)
    return f"this key is missing; add it ({description.removesuffix(' [1]')})"


def _unknown_key(fault: Fault) -> str:
    nearest = _nearest(fault.place)
    hint = f"did you mean {nearest!r}?" if nearest else f"known: {', '.join(fields_of(fault.place.section))}"
    return f"this key is unknown; {hint}"


def _nearest(place: Place) -> str | None:
    return _closest(place.keys[-1], list(fields_of(place.section)), NEAR_KEY)


def _closest(value: Any, known: list[str], cutoff: float) -> str | None:
    return next(iter(get_close_matches(str(value).lower(), known, n=1, cutoff=cutoff)), None)


def _unknown_kind(fault: Fault) -> str:
    known = kinds(fault.place.expected)
    if fault.type == "union_tag_not_found":
        return f"this key is missing; known: {', '.join(known)}"
    return _unknown(Fault(fault.place, fault.type, fault.value["kind"], {}), known)


def _unknown(fault: Fault, known: list[str]) -> str:
    nearest = _closest(fault.value, known, NEAR_VALUE)
    hint = f"did you mean {nearest!r}? Known" if nearest else "known"
    return f"{fault.shown} is unknown; {hint}: {', '.join(known)}"


def _literal(fault: Fault) -> str:
    only_words = all(get_origin(each) is Literal for each in members(fault.place.alternatives))
    return _unknown(fault, choices(fault.place.expected)) if only_words else _wrong_type(fault)


def _out_of_bounds(fault: Fault) -> str:
    relation, bound = RELATIONS[fault.type]
    unit = unit_of(fault.place.field)
    number = fault.context[bound]
    limit = (str(number) if isinstance(number, int) else f"{number:g}") + (f" {unit}" if unit and unit != "1" else "")
    return f"{fault.shown} is out of bounds; it must be {relation} {limit}"


def _not_a_multiple(fault: Fault) -> str:
    factor = fault.context["multiple_of"]
    return f"{fault.shown} is not a multiple of {factor}; try {factor * -(-fault.value // factor)}"


def _too_short(fault: Fault) -> str:
    least = fault.context["min_length"]
    return f"{fault.shown} is too short; write at least {least} {'entry' if least == 1 else 'entries'}"


def _too_long(fault: Fault) -> str:
    return f"{fault.shown} has too many entries; write at most {fault.context['max_length']}"


SENTENCES: dict[str, Callable[[Fault], str]] = {
    "missing": _missing,
    "extra_forbidden": _unknown_key,
    "literal_error": _literal,
    "multiple_of": _not_a_multiple,
    "too_short": _too_short,
    "too_long": _too_long,
    "string_too_short": lambda fault: f"{fault.shown} is too short; write something, or leave the key out",
    "string_too_long": lambda fault: (
        f"{fault.shown} is too long; write at most {fault.context['max_length']} characters"
    ),
    "finite_number": lambda fault: f"{fault.shown} is not a finite number{_unit_phrase(fault.place)}",
    "string_type": lambda fault: f"{fault.shown} is not text; put it in quotes",
    "string_pattern_mismatch": lambda fault: f"{fault.shown} is not a name; {NAME_RULE}",
}
