"""Run by a Python that has the package `kserve`: holds resources against its models, prints what is wrong line by line.

python kserve_models.py resources.yaml
"""

import re
import sys
from collections.abc import Iterator
from datetime import date
from typing import Any

import kserve.models
import kubernetes.client
import yaml

_KINDS = {"InferenceService": "V1beta1InferenceService", "ServingRuntime": "V1alpha1ServingRuntime"}
_PLAIN: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "bool": bool,
    "float": (int, float),
    "object": object,
    "datetime": (str, date),
}


def problems(value: Any, kind: str, place: str) -> Iterator[str]:
    """What of ``value`` is not of the type ``kind``, as the models write types: ``list[V1Container]``."""
    if items := re.fullmatch(r"[Ll]ist\[(.+)]", kind):
        if not isinstance(value, list):
            yield f"{place} is no list"
            return
        for index, each in enumerate(value):
            yield from problems(each, items[1], f"{place}[{index}]")
    elif entries := re.fullmatch(r"[Dd]ict[(\[]str, (.+)[)\]]", kind):
        if not isinstance(value, dict):
            yield f"{place} is no mapping"
            return
        for name, each in value.items():
            yield from problems(each, entries[1], f"{place}.{name}")
    elif kind in _PLAIN:
        if not isinstance(value, _PLAIN[kind]) or (kind == "int" and isinstance(value, bool)):
            yield f"{place} is no {kind}"
    else:
        yield from _fields(value, kind, place)


def _fields(value: Any, kind: str, place: str) -> Iterator[str]:
    model = getattr(kserve.models, kind, None) or getattr(kubernetes.client, kind, None)
    if model is None:  # quantities and the like, which the models leave open
        return
    if not isinstance(value, dict):
        yield f"{place} is no mapping"
        return
    types = {name: model.openapi_types[field] for field, name in model.attribute_map.items()}
    for name, each in value.items():
        if name not in types:
            yield f"{place}.{name} is unknown"
        else:
            yield from problems(each, types[name], f"{place}.{name}")


def main(path: str) -> int:
    """Check every resource of a file: 0, or 1 where something is wrong."""
    with open(path, encoding="utf-8") as file:
        found = [
            problem
            for each in yaml.safe_load_all(file)
            for problem in problems(each, _KINDS[each["kind"]], each["kind"])
        ]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
