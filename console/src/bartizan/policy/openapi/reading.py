"""
Reading an OpenAPI document: Swagger 2.0, OpenAPI 3.0 and 3.1, as JSON or YAML.

Whoever may send one is not trusted with the Console's memory: size, depth, and what aliases of YAML come to when they
are written out are bounded; references are followed within the document only, and never in a circle.
"""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from bartizan.policy.reading import PolicyError, load

LARGEST = 1 << 20
"""How large a document may be, in bytes."""
DEEPEST = 64
MOST_NODES = 200_000
"""How many values a document may have, aliases written out."""
MOST_REFERENCES = 32
"""How many references may lead to one another."""
_VERSION = re.compile(r"3\.[01](\.[0-9]{1,4})?([-+].{0,20})?")
_LONGEST_REFERENCE = 2048
_LONGEST_KEY = 1024
_MERGE = "tag:yaml.org,2002:merge"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@dataclass(frozen=True, slots=True)
class Spec:
    """A document that was read; `major` is 2 (Swagger) or 3 (OpenAPI), `version` as it says itself."""

    document: dict[str, Any]
    major: int
    version: str

    def resolved(self, value: object) -> dict[str, Any]:
        """Return an object, or the one in this document that it refers to; an empty one for what leads nowhere."""
        for _ in range(MOST_REFERENCES):
            if not isinstance(value, dict):
                return {}
            reference = value.get("$ref")
            if not isinstance(reference, str):
                return value
            value = self.at(reference)
        return {}

    def at(self, reference: str) -> object:
        """Return what a local reference (`#/a/b`, RFC 6901) leads to, None for nothing or another document."""
        if not reference.startswith("#/") or len(reference) > _LONGEST_REFERENCE:
            return None
        value: object = self.document
        for part in reference[2:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict):
                value = value.get(name)
            elif isinstance(value, list) and name.isascii() and name.isdigit() and int(name[:9]) < len(value):
                value = value[int(name[:9])]
            else:
                return None
        return value

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
        """Yield (path, method, path item, operation) in the document's order; what is malformed is left out."""
        paths = self.document.get("paths")
        for path, given in paths.items() if isinstance(paths, dict) else ():
            item = self.resolved(given)
            for method in METHODS:
                operation = item.get(method)
                if isinstance(operation, dict):
                    yield path, method, item, operation


def read_spec(data: bytes) -> Spec:
    """Return the document. Raises PolicyError with what is wrong, and where."""
    if len(data) > LARGEST:
        raise PolicyError([f"the document has {len(data)} bytes, at most {LARGEST} are read"])
    document = read_values(data)
    if not isinstance(document, dict):
        raise PolicyError(["this is no OpenAPI document: an object is expected"])
    swagger, version = document.get("swagger"), document.get("openapi")
    if str(swagger) in ("2.0", "2"):
        return _checked(Spec(document, 2, "2.0"))
    if isinstance(version, str) and _VERSION.fullmatch(version):
        return _checked(Spec(document, 3, version))
    raise PolicyError(["this is no OpenAPI document: `swagger: '2.0'` or `openapi: 3.0.x` or `3.1.x` is expected"])


def read_values(data: bytes) -> object:
    """
    Return what a JSON or YAML text holds, as values of JSON: YAML's aliases are written out, its dates are texts.

    Raises PolicyError with what is wrong, and where; also for keys that are given twice, and for what is too deep or
    comes to too much.
    """
    text = data.removeprefix(b"\xef\xbb\xbf")
    return _bounded(load(text) if text.lstrip()[:1] == b"{" else _yaml(text))


def _checked(spec: Spec) -> Spec:
    paths = spec.document.get("paths")
    if paths is not None and not isinstance(paths, dict):
        raise PolicyError(["paths: it has to be an object"])
    wrong = [str(path)[:64] for path in paths or {} if not str(path).startswith("/")]
    if wrong:
        raise PolicyError([f"paths: `{path}` does not begin with `/`" for path in wrong])
    return spec


def _yaml(text: bytes) -> object:
    try:
        _look_through(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        raise PolicyError([f"not YAML: {where}{error.problem or 'it cannot be read'}"]) from None
    except yaml.YAMLError:
        raise PolicyError(["not YAML: it has characters that YAML cannot have"]) from None
    except RecursionError:
        raise PolicyError(["nested too deeply"]) from None
    except PolicyError:
        raise
    except (ValueError, OverflowError, TypeError):
        raise PolicyError(["not YAML: a value cannot be read"]) from None


def _look_through(text: bytes) -> None:
    """Bound depth and number of the values before any are made: the loader goes as deep as its document."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST or count > 2 * MOST_NODES:
            raise PolicyError(
                [f"the document is nested more than {DEEPEST} deep, or has more than {MOST_NODES} values"]
            )


class _Loader(yaml.CSafeLoader):
    """YAML as JSON has it: keys are texts, dates are texts, and merged keys (`<<`) are counted."""

    merged = 0


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    below: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "a key has to be a text", key.start_mark)
        made = loader.construct_object(value, deep=True)
        if key.tag == _MERGE:
            _merge(loader, below, made)
        elif key.value in found:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key `{key.value}` is given twice in one object", key.start_mark
            )
        else:
            found[key.value] = made
    return {**below, **found}


def _merge(loader: _Loader, below: dict[str, Any], made: object) -> None:
    """Put keys of other mappings below those of this one; the first that has a key wins (YAML, "Merge Key")."""
    for part in made if isinstance(made, list) else [made]:
        keys = part if isinstance(part, dict) else {}
        loader.merged += 1 + len(keys)
        if loader.merged > MOST_NODES:
            raise PolicyError([f"more than {MOST_NODES} keys are merged by `<<`"])
        for name, value in keys.items():
            below.setdefault(name, value)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _loader, node: node.value)


def _bounded(value: object) -> object:
    """Return the document with aliases written out. Raises PolicyError when that is too much, or has no end."""
    count = 0

    def copied(item: object, depth: int) -> object:
        nonlocal count
        count += 1
        if count > MOST_NODES:
            raise PolicyError([f"the document comes to more than {MOST_NODES} values, aliases written out"])
        if depth > DEEPEST:
            raise PolicyError([f"the document is nested more than {DEEPEST} deep"])
        if isinstance(item, dict):
            if any(len(key) > _LONGEST_KEY for key in item):
                raise PolicyError([f"a key has more than {_LONGEST_KEY} characters"])
            return {str(key): copied(part, depth + 1) for key, part in item.items()}
        if isinstance(item, list):
            return [copied(part, depth + 1) for part in item]
        return item if isinstance(item, str | int | float | bool) or item is None else _told(item)

    return copied(value, 0)


def _told(item: object) -> str:
    return item.isoformat() if isinstance(item, dt.date) else ""
