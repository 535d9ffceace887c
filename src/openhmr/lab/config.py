"""YAML presets read into frozen dataclasses, strictly."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from openhmr.errors import InputError

T = TypeVar("T")
PRESETS = Path(__file__).parent / "presets"
MAX_BYTES = 1_000_000


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A preset by its name (``compact_pose2mesh``) or a YAML file by its path. Raises :class:`InputError`."""
    file = Path(path)
    if not file.exists() and (PRESETS / f"{path}.yml").exists():
        file = PRESETS / f"{path}.yml"
    if not file.is_file():
        near = difflib.get_close_matches(str(path), [p.stem for p in PRESETS.glob("*.yml")], 3, 0)
        raise InputError(
            f"config {path} does not exist; give the path of a YAML file or one of the presets "
            f"({', '.join(near)}, ...: "
            "`openhmr lab configs` lists them all)"
        )
    if file.stat().st_size > MAX_BYTES:
        raise InputError(f"config {path} has {file.stat().st_size} bytes; a config has at most {MAX_BYTES}")
    data = _parse_yaml(file.read_bytes(), f"config {path}")
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise InputError(
            f"config {path} holds {type(data).__name__}; a config is a mapping of names to values"
        )
    return data


def _parse_yaml(text: str | bytes, name: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (
        yaml.YAMLError,
        ValueError,
        RecursionError,
    ) as error:  # impossible dates and deep nesting are no YAMLErrors
        raise InputError(
            f"{name} is not YAML ({str(error).splitlines()[0]}); write `key: value` lines"
        ) from None


def at_least(section: object, **lowest: float) -> None:
    """Raises :class:`InputError` if a number of a config section is smaller than may be."""
    for name, least in lowest.items():
        if not getattr(section, name) >= least:
            raise InputError(f"config key {name} is {getattr(section, name)}; it must be {least} or more")


def override(data: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """``data`` with ``key.sub=value`` assignments (values as YAML) applied to it."""
    for assignment in assignments:
        key, sign, value = assignment.partition("=")
        if not sign:
            raise InputError(
                f"override {assignment!r} has no '='; write key=value, for example stage1.steps=100"
            )
        *path, last = key.split(".")
        at = data
        for part in path:
            at = at.setdefault(part, {})
            if not isinstance(at, dict):
                raise InputError(f"override {assignment!r}: {part} is a value, not a group of keys")
        at[last] = _parse_yaml(value, f"override {assignment[:80]!r}")
    return data


def build(cls: type[T], data: dict[str, Any], where: str = "", base: T | None = None) -> T:
    """An instance of the dataclass ``cls``; unknown keys are refused with the nearest right one, wrong types
    by name.

    Keys that ``data`` leaves out keep the value of ``base`` if there is one (a group's own default may differ
    from its class's).
    """
    hints = typing.get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    values = {}
    for key, value in data.items():
        if key not in names:
            near = difflib.get_close_matches(str(key), names, 1, 0)
            raise InputError(
                f"config key {where}{key} is unknown; did you mean {where}{near[0] if near else names[0]}? "
                f"(all: {', '.join(names)})"
            )
        default = getattr(base, key) if base is not None else _default(cls, key)
        values[key] = _convert(hints[key], value, f"{where}{key}", default)
    if base is not None:
        return dataclasses.replace(base, **values)  # type: ignore[type-var]
    required = [
        f.name
        for f in dataclasses.fields(cls)  # type: ignore[arg-type]
        if f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
        and f.name not in values
    ]
    if required:
        raise InputError(
            f"config lacks {', '.join(where + r for r in required)}; add it to the file, or override it as "
            f"key=value"
        )
    return cls(**values)


def _default(cls: type, key: str) -> Any:
    field = next(f for f in dataclasses.fields(cls) if f.name == key)
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _convert(hint: Any, value: Any, where: str, default: Any = None) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise InputError(f"config key {where} is {value!r}; it must be a group of keys")
        return build(hint, value, where + ".", default if isinstance(default, hint) else None)  # type: ignore[arg-type]
    if isinstance(hint, types.UnionType):
        options = typing.get_args(hint)
        return None if value is None and type(None) in options else _convert(options[0], value, where)
    if typing.get_origin(hint) is typing.Literal:
        allowed = typing.get_args(hint)
        if value not in allowed:
            raise InputError(f"config key {where} is {value!r}; allowed are {', '.join(map(str, allowed))}")
        return value
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)
        if inner[1:] == (...,):
            if not isinstance(value, list):
                raise InputError(f"config key {where} is {value!r}; it must be a list")
            inner = inner[:1] * len(value)
        if not isinstance(value, list) or len(value) != len(inner):
            raise InputError(f"config key {where} is {value!r}; it must be a list of {len(inner)} values")
        return tuple(_convert(h, v, where) for h, v in zip(inner, value, strict=True))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or isinstance(value, bool) is not (hint is bool):
        raise InputError(f"config key {where} is {value!r}; it must be of type {hint.__name__}")
    return value
