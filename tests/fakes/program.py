"""The body of every fake program: says what it was called with, and answers as it was told to.

It lies beside its own files: `calls.jsonl` (one call a line), `answers.json` (rules, the last one that fits counts)
and, for kind, `clusters` (one name a line). `version` is answered as the real ones do. Standard library only: it is run
by `python -I -S`, which starts fast.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

VERSIONS = {
    "kind": "kind v0.31.0 go1.25.5 linux/amd64\n",
    "helm": "v4.1.3",
    "kubectl": "Client Version: v1.35.3\n",
    "docker": '{"Version": "28.0.1", "Components": [{"Name": "Engine", "Version": "28.0.1"}]}\n',
}


def main(home: Path, name: str, argv: list[str]) -> int:
    stdin = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()
    call = {"program": name, "argv": argv, "env": dict(os.environ), "stdin": stdin, "pid": os.getpid()}
    with (home / "calls.jsonl").open("a") as file:
        file.write(json.dumps(call) + "\n")
    rules = json.loads((home / "answers.json").read_text()) if (home / "answers.json").exists() else []
    version = VERSIONS.get(name, "") if argv[:1] == ["version"] else ""
    said = {"code": 0, "out": version, "err": "", "hang": 0}
    for rule in rules:
        if rule["program"] == name and set(rule["words"]) <= set(argv):
            said |= rule
    for text, stream in ((said["out"], sys.stdout), (said["err"], sys.stderr)):
        stream.write(text)
        stream.flush()
    if said["hang"]:
        time.sleep(said["hang"])
    if name == "kind":
        kind(home, argv, said["code"])
    return int(said["code"])


def kind(home: Path, argv: list[str], code: int) -> None:
    """Keeps a list of clusters, and writes a kubeconfig where the real one would."""
    file = home / "clusters"
    names = file.read_text().split() if file.exists() else []
    if argv[:2] == ["create", "cluster"]:
        names.append(option(argv, "--name"))  # with --retain a failed one stays
    elif argv[:2] == ["delete", "cluster"]:
        names = [name for name in names if name != option(argv, "--name")]
    file.write_text("".join(f"{name}\n" for name in names))
    if argv == ["get", "clusters"]:
        sys.stdout.write(file.read_text())
        if not names:
            sys.stderr.write("No kind clusters found.\n")
    if argv == ["get", "nodes", "--name", option(argv, "--name")]:
        sys.stdout.write((home / "nodes").read_text() if (home / "nodes").exists() else "")
    writes = argv[:2] in (["create", "cluster"], ["export", "kubeconfig"], ["delete", "cluster"])
    if writes and not code:
        users = os.environ.get("KUBECONFIG") or str(Path(os.environ["HOME"]) / ".kube/config")
        path = Path(option(argv, "--kubeconfig") or users)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# written by {' '.join(argv[:2])}\n")


def option(argv: list[str], name: str) -> str:
    return argv[argv.index(name) + 1] if name in argv else ""


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
