"""The append-only log: one JSON line per effect, in the order in which they took effect.

A line is one `write` to a file opened for appending: a kill of this process loses none of them. They are not synced to
the disk one by one, which only the loss of the whole machine would show, and which would cost 10,000 syncs.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class EffectLog:
    """Lines: {n, at, act, type, id, request, by, …}.

    `act` is create, change, delete or lie (an answer without its effect). `by` is client or target (the application's
    own people). A User has `document`, the whole account afterwards without `meta`; a Group has `document` without its
    members, and `added` and `removed`, lists of their ids.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self.count = 0
        self.request = 0
        self.by = "client"

    def append(self, act: str, kind: str, resource_id: str, document: Mapping[str, Any], **more: Any) -> None:
        self.count += 1
        line = {
            "n": self.count,
            "at": round(time.time(), 4),
            "act": act,
            "type": kind,
            "id": resource_id,
            "request": self.request,
            "by": self.by,
            "document": {name: value for name, value in document.items() if name not in ("meta", "members")},
            **more,
        }
        os.write(self._file, (json.dumps(line, ensure_ascii=False) + "\n").encode())


def read_effects(path: Path) -> list[dict[str, Any]]:
    """What the log says, oldest first. A last line without its end is no effect yet."""
    if not path.exists():
        return []
    *lines, _ = path.read_bytes().split(b"\n")
    return [json.loads(line) for line in lines]


def replay(effects: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """The state after these effects: {type: {id: document}}; a Group's `members` is a list of {"value": id}."""
    state: dict[str, dict[str, dict[str, Any]]] = {"User": {}, "Group": {}}
    members: dict[str, dict[str, None]] = {}
    for effect in effects:
        resources, resource_id = state[effect["type"]], effect["id"]
        if effect["act"] == "delete":
            resources.pop(resource_id, None)
            members.pop(resource_id, None)
        elif effect["act"] != "lie":
            resources[resource_id] = dict(effect["document"])
            held = members.setdefault(resource_id, {})
            held.update(dict.fromkeys(effect.get("added", ())))
            for gone in effect.get("removed", ()):
                held.pop(gone, None)
    for group_id, group in state["Group"].items():
        if members[group_id]:
            group["members"] = [{"value": member} for member in members[group_id]]
    return state
