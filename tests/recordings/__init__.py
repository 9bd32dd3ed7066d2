"""What a real cluster answered, cut to what tests need: whole lines were left out, no line was changed.

docs/findings.md says what each shows. Versions: Istio 1.29.1 (ztunnel 1.29.6), Envoy Gateway 1.7.5 and 1.9.0, Envoy
1.37.0 and 1.39.0.
"""

import json
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent


def text(name: str) -> str:
    """A recording as it is."""
    return (HERE / name).read_text()


def objects(name: str) -> dict[str, dict[str, Any]]:
    """The Kubernetes objects of a YAML recording by name: a List, several documents, or one object."""
    documents = [document for document in yaml.load_all(text(name), yaml.CSafeLoader) if document]
    items = [item for document in documents for item in document.get("items", [document])]
    return {item["metadata"]["name"]: item for item in items}


def obj(name: str) -> dict[str, Any]:
    """The one Kubernetes object of a YAML recording."""
    (found,) = objects(name).values()
    return found


def dump(name: str) -> Any:
    """A JSON recording."""
    return json.loads(text(name))
