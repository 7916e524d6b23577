"""Frozen configuration dataclasses <-> plain values (dicts, lists, numbers, strings) as YAML and JSON hold them."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from askscan.errors import ConfigError

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Plain values of a configuration; tuples become lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value


def from_plain(cls: type[T], values: Any, where: str = "configuration") -> T:
    """The configuration that `to_plain` was given. Fields that are not there keep their default.

    Raises:
        ConfigError: A field is unknown or has a value of another type; `where` and the field are named.
    """
    result: T = _convert(cls, values, where)
    return result


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Nested mappings as one: `loop.num_steps` and so on.

    >>> flat({"loop": {"num_steps": 3}, "seed": 0})
    {'loop.num_steps': 3, 'seed': 0}
    """
    if not isinstance(value, Mapping):
        return {name: value}
    inner = [flat(item, f"{name}.{key}" if name else str(key)) for key, item in value.items()]
    return {path: item for part in inner for path, item in part.items()}


def first_difference(old: Any, new: Any, where: str = "") -> str | None:
    """Where two plain values first differ, as `optim.beta2: 0.9 there, 0.99 asked for`; None if they are equal."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            inner = first_difference(old.get(key), new.get(key), f"{where}.{key}" if where else str(key))
            if inner is not None:
                return inner
        return None
    return None if old == new else f"{where}: {old!r} there, {new!r} asked for"


def _convert(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _convert_record(hint, value, where)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _convert(inner, value, where)
    if origin is Literal:
        if value not in arguments:
            raise ConfigError(f"{where}: {value!r} is not one of {', '.join(map(str, arguments))}.")
        return value
    if origin is tuple:
        return _convert_tuple(arguments, value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is not hint:
        raise ConfigError(f"{where}: expected {hint.__name__}, got {value!r}.")
    return value


def _convert_record(hint: Any, values: Any, where: str) -> Any:
    hints = get_type_hints(hint)
    known = {field.name for field in dataclasses.fields(hint)}
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: expected the fields of {hint.__name__}, got {values!r}.")
    unknown = [str(key) for key in values if key not in known]
    if unknown:
        raise ConfigError(f"{where}: unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}.")
    fields = {key: _convert(hints[key], value, f"{where}.{key}") for key, value in values.items()}
    try:
        return hint(**fields)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _convert_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{where}: expected a list, got {value!r}.")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(arguments) != len(value):
        raise ConfigError(f"{where}: expected {len(arguments)} values, got {len(value)}.")
    pairs = zip(arguments, value, strict=True)
    return tuple(_convert(inner, item, f"{where}[{i}]") for i, (inner, item) in enumerate(pairs))
