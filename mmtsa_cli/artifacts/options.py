"""Turn a mapping (YAML, `--set`) into an options dataclass, naming every wrong key, type and range at once.

An options dataclass is frozen, every field has a default, and `option()` adds what may stand there. Nested dataclasses
are sections.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from mmtsa_cli.errors import ManyErrors, MmtsaError, UsageError, did_you_mean

T = TypeVar("T")
Key = tuple[str, ...]
_MOST_VALUES = 100_000
"""Of a YAML file, aliases followed: a few lines of aliases to aliases can stand for more than fits into memory."""


def option(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    check: Callable[[Any], str | None] | None = None,
    read: Callable[[Path], Any] | None = None,
) -> Any:
    """Declare a field of an options dataclass.

    Parameters
    ----------
    default
        Its value where nothing is said (a mutable one is copied for each instance).
    help : str
        One sentence with its unit: what the knob does.
    low, high : float, optional
        The smallest and the largest value that may stand there.
    above : float, optional
        A bound that must be exceeded.
    check : callable, optional
        Takes the value, returns what was expected where it is wrong, else None.
    read : callable, optional
        Where a text stands there, it is the path of a file, and the value is what this returns of it.
    """
    metadata = {"help": help, "low": low, "high": high, "above": above, "check": check, "read": read}
    if isinstance(default, (dict, list)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Source:
    """A mapping with where each of its keys was written.

    Attributes
    ----------
    name : str
        The file, or "--set".
    data : dict
    places : dict of key path to str
        "recipe.yaml, line 7" for ("training", "lr").
    """

    name: str
    data: dict[str, Any]
    places: dict[Key, str]

    def place(self, key: Key) -> str:
        """Return where `key`, or the nearest section around it, was written."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.places:
                return self.places[key[:length]]
        return self.name


def read_yaml(path: Path) -> Source:
    """Read a YAML mapping, remembering lines. Only plain values are constructed (safe loading).

    Raises
    ------
    UsageError
        The file is missing, no text, no YAML, or not a mapping; a key stands twice.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise UsageError("not a text file in UTF-8", where=str(path)) from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
        if _size(data, _MOST_VALUES) > _MOST_VALUES:
            raise ValueError(f"more than {_MOST_VALUES} values, with what its aliases repeat")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise UsageError(f"not YAML: {getattr(error, 'problem', None) or error}", where=where) from None
    if data is None:
        return Source(str(path), {}, {})
    if not isinstance(data, dict):
        raise UsageError("not a mapping of keys to values", where=str(path), found=type(data).__name__)
    places: dict[Key, str] = {}
    _note_lines(node, (), str(path), places)
    return Source(str(path), data, places)


def _size(value: Any, most: int) -> int:
    """Return how many values there are, those that an alias repeats each time it does; counts little beyond `most`."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    count = 1
    for inner in inside:
        count += _size(inner, most - count)
        if count > most:
            break
    return count


def _note_lines(node: Any, prefix: Key, name: str, places: dict[Key, str]) -> None:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return
    for key_node, value_node in node.value:
        key = (*prefix, str(key_node.value))
        place = f"{name}, line {key_node.start_mark.line + 1}"
        if key in places:
            raise UsageError(f"{'.'.join(key)} stands twice", where=place, remedy=f"it also stands in {places[key]}")
        places[key] = place
        _note_lines(value_node, key, name, places)


def override(source: Source, settings: Sequence[str]) -> Source:
    """Return `source` with `--set` values put in: each as `training.lr=0.01`, the value read as YAML.

    Raises
    ------
    UsageError
        A setting without `=`, or whose value is no YAML.
    """
    import yaml

    data = _deep_copy(source.data)
    places = dict(source.places)
    for setting in settings:
        name, equals, text = setting.partition("=")
        key = tuple(part for part in name.strip().split(".") if part)
        if not equals or not key:
            raise UsageError("not a setting", where=f"--set {setting}", expected="KEY=VALUE, as in training.lr=0.01")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise UsageError("its value is not YAML", where=f"--set {setting}") from None
        inner = data
        for part in key[:-1]:
            inner[part] = inner[part] if isinstance(inner.get(part), dict) else {}
            inner = inner[part]
        inner[key[-1]] = value
        places[key] = f"--set {setting}"
    return Source(source.name, data, places)


def to_options(cls: type[T], source: Source) -> T:
    """Return the dataclass `cls` filled from `source`; what is not said keeps its default.

    Raises
    ------
    ManyErrors
        Every unknown key (with the nearest known one), wrong type and value out of range, each with its file and line.
    """
    errors: list[MmtsaError] = []
    result = _fill(cls, source.data, (), source, errors)
    if errors:
        raise ManyErrors(errors)
    return result


def to_mapping(options: Any) -> dict[str, Any]:
    """Return an options dataclass as plain values, ready for YAML or JSON."""
    return {key: _plain(value) for key, value in dataclasses.asdict(options).items()}


def merged(below: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `below` with what `over` says put over it, section by section."""
    result = dict(below)
    for key, value in over.items():
        inner = result.get(key)
        result[key] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value


def _deep_copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _deep_copy(inner) for key, inner in value.items()}
    return value


def _fill(cls: type, data: Any, prefix: Key, source: Source, errors: list[MmtsaError], base: Any = None) -> Any:
    """Return `cls` filled from `data`; what is not said there is as in `base`, the default of the section around it."""
    if not isinstance(data, dict):
        errors.append(_wrong(prefix, source, "a section of keys and values", data))
        return None
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    values: dict[str, Any] = {}
    for name, raw in data.items():
        key = (*prefix, str(name))
        if name not in fields:
            where, remedy = source.place(key), did_you_mean(str(name), fields)
            errors.append(UsageError(f"unknown key {'.'.join(key)}", where=where, remedy=remedy))
        elif dataclasses.is_dataclass(hints[name]):
            section = typing.cast(type, hints[name])
            values[name] = _fill(section, {} if raw is None else raw, key, source, errors, _default(fields[name]))
        elif get_origin(hints[name]) is dict and dataclasses.is_dataclass(get_args(hints[name])[1]):
            values[name] = _fill_each(get_args(hints[name])[1], {} if raw is None else raw, key, source, errors)
        else:
            values[name] = _value(raw, hints[name], fields[name].metadata, key, source, errors)
    if errors:
        return None
    return cls(**values) if base is None else dataclasses.replace(base, **values)


def _default(section: dataclasses.Field[Any]) -> Any:
    """Return the default of a section, None where it has none."""
    if section.default_factory is not dataclasses.MISSING:
        return section.default_factory()
    return None if section.default is dataclasses.MISSING else section.default


def _fill_each(cls: type, data: Any, prefix: Key, source: Source, errors: list[MmtsaError]) -> dict[str, Any]:
    """Fill a mapping of names to sections that are all alike."""
    if not isinstance(data, dict):
        errors.append(_wrong(prefix, source, "names, each with a section of keys and values", data))
        return {}
    return {
        str(name): _fill(cls, {} if section is None else section, (*prefix, str(name)), source, errors)
        for name, section in data.items()
    }


def _value(raw: Any, hint: Any, rules: Mapping[str, Any], key: Key, source: Source, errors: list[MmtsaError]) -> Any:
    read = rules.get("read")
    try:
        value = _coerce(read(Path(raw)) if read and isinstance(raw, str) else raw, hint)
    except MmtsaError as error:
        errors.append(error)
        return None
    except ValueError as error:
        errors.append(_wrong(key, source, str(error), raw))
        return None
    numbers = value if isinstance(value, tuple) else (value,)
    for number in numbers:
        problem = _out_of_range(number, rules)
        if problem:
            errors.append(_wrong(key, source, problem, raw))
            return None
    check = rules.get("check")
    problem = check(value) if check else None
    if problem:
        errors.append(_wrong(key, source, problem, raw))
    return value


def _out_of_range(number: Any, rules: Mapping[str, Any]) -> str | None:
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        return None
    low, high, above = rules.get("low"), rules.get("high"), rules.get("above")
    if (low is not None and not number >= low) or (high is not None and not number <= high):
        bounds = [f"at least {low:g}" if low is not None else "", f"at most {high:g}" if high is not None else ""]
        return "a number of " + " and ".join(bound for bound in bounds if bound)
    if above is not None and not number > above:
        return f"a number above {above:g}"
    return None


def _wrong(key: Key, source: Source, expected: str, found: Any) -> UsageError:
    return UsageError(f"{'.'.join(key)} is wrong", where=source.place(key), expected=expected, found=repr(found))


def _coerce(raw: Any, hint: Any) -> Any:
    """Return `raw` as `hint` wants it; raise ValueError with what was expected."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return raw
    if origin in (Union, types.UnionType):
        return _coerce_union(raw, arguments)
    if origin is Literal:
        if raw in arguments and not isinstance(raw, bool):
            return raw
        raise ValueError("one of " + ", ".join(str(choice) for choice in arguments))
    if origin is tuple:
        return _coerce_tuple(raw, arguments)
    if origin is dict:
        if not isinstance(raw, dict):
            raise ValueError("a mapping")
        return {_coerce(key, arguments[0]): _coerce(value, arguments[1]) for key, value in raw.items()}
    return _coerce_plain(raw, hint)


def _coerce_union(raw: Any, arguments: tuple[Any, ...]) -> Any:
    if raw is None and type(None) in arguments:
        return None
    wanted = []
    for argument in arguments:
        if argument is type(None):
            wanted.append("null")
            continue
        try:
            return _coerce(raw, argument)
        except ValueError as error:
            wanted.append(str(error))
    raise ValueError(" or ".join(wanted))


def _coerce_tuple(raw: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(raw, (list, tuple)):
        raise ValueError("a list")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_coerce(item, arguments[0]) for item in raw)
    if len(raw) != len(arguments):
        raise ValueError(f"a list of {len(arguments)} values")
    return tuple(_coerce(item, argument) for item, argument in zip(raw, arguments, strict=True))


def _coerce_plain(raw: Any, hint: Any) -> Any:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    if hint is bool and isinstance(raw, bool):
        return raw
    if hint is int and isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if hint is float and not isinstance(raw, bool):
        # YAML reads 1e-3 (no dot) as a text; people mean the number.
        try:
            number = float(raw)
        except (TypeError, ValueError):
            raise ValueError(names[float]) from None
        if number == number:
            return number
    if hint is str and isinstance(raw, (str, int, float)) and not isinstance(raw, bool):
        return str(raw)
    raise ValueError(names.get(hint, str(hint)))
