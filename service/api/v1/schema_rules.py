"""Rules between the fields of a request, for the OpenAPI document: null counts as absent."""

from typing import Any

from service.core.actions import Action


def asks_for(*actions: Action) -> dict[str, Any]:
    """Describe, for the document, the requests for one of these actions; the default is a code."""
    asked: dict[str, Any] = {
        "properties": {"action": {"enum": [str(each) for each in actions]}},
        "required": ["action"],
    }
    if Action.CODE not in actions:
        return asked
    asked["properties"]["action"]["enum"].append(None)
    return {"properties": asked["properties"]}


def given(*names: str) -> dict[str, Any]:
    """Describe the requests that have all of these fields."""
    return {"required": list(names), "properties": {name: {"not": {"type": "null"}} for name in names}}


def longer_than(seconds: int) -> dict[str, Any]:
    """Describe the requests for a longer lifetime."""
    return {"required": ["ttl_seconds"], "properties": {"ttl_seconds": {"type": "number", "exclusiveMinimum": seconds}}}
