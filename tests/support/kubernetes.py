"""Folders of deploy/kubernetes, rendered by kustomize and held against schemas."""

import json
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from tests.conftest import ROOT
from tests.support.environments import interpreter_of

FOLDER = ROOT / "deploy" / "kubernetes"
SCHEMAS = ROOT / "tests" / "deploy" / "schemas"
Resource = dict[str, Any]


@cache
def rendered(name: str) -> str:
    """What ``kubectl apply -k`` of a folder would send."""
    done = subprocess.run(
        [_program("kubectl"), "kustomize", str(FOLDER / name)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def resources(name: str) -> dict[tuple[str, str], Resource]:
    """Those of a folder, by kind and name."""
    found: Iterator[Resource] = yaml.safe_load_all(rendered(name))
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


def containers(found: dict[tuple[str, str], Resource]) -> dict[str, Resource]:
    """The containers of all pods, by name."""
    return {each["name"]: each for pod in pods(found).values() for each in pod["containers"]}


def pods(found: dict[tuple[str, str], Resource]) -> dict[str, Resource]:
    """The pods' specifications, by the deployment's name."""
    return {name: each["spec"]["template"]["spec"] for (kind, name), each in found.items() if kind == "Deployment"}


def problems(text: str, folder: Path) -> list[str]:
    """What is wrong with rendered resources; a kind that nothing here knows is wrong, too."""
    found = list(yaml.safe_load_all(text))
    own = [each for each in found if (SCHEMAS / f"{each['kind']}.json").exists()]
    served = [each for each in found if str(each["apiVersion"]).startswith("serving.kserve.io/")]
    rest = [each for each in found if each not in own and each not in served]
    rest += [template for each in own if each["kind"] == "RayCluster" for template in _templates(each)]
    wrong = _by_program([_program("kubernetes-validate"), "--strict"], rest, folder / "kubernetes.yaml")
    if served:
        models = [str(interpreter_of("clients")), str(ROOT / "tests" / "deploy" / "kserve_models.py")]
        wrong += _by_program(models, served, folder / "kserve.yaml")
    for each in own:
        schema = json.loads((SCHEMAS / f"{each['kind']}.json").read_text())
        wrong += [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(each)]
    return wrong


def nodes(cluster: Resource) -> list[Resource]:
    """The pods of a Ray cluster, its head first."""
    spec = cluster["spec"]
    groups = [spec.get("headGroupSpec", {}), *spec.get("workerGroupSpecs", [])]
    return [group["template"] for group in groups if "template" in group]


def _templates(cluster: Resource) -> list[Resource]:
    """The same for a checker: the schema of the cluster leaves them open."""
    own = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": cluster["metadata"]["name"]}}
    return [{**own, "template": template} for template in nodes(cluster)]


def _by_program(command: list[str], found: list[Resource], path: Path) -> list[str]:
    """What a checker says of these resources, if it is not content."""
    path.write_text(yaml.safe_dump_all(found))
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    return [said] if done.returncode != 0 or "Couldn't find schema" in said else []


def _program(name: str) -> str:
    return str(interpreter_of("kubernetes").with_name(name))
