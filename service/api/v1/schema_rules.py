"""Rules between the fields of a request, for the OpenAPI document: null counts as absent."""

from typing import Any

from service.core.actions import ACTIONS, Action
from service.core.payment import ACTIONS_WITH_PAYMENT


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


OF_ONE_ACTION = {  # fields that only one action has
    "code_length": Action.CODE,
    "web_origin": Action.CODE,
    "embedded_origin": Action.CODE,
    "app_hash": Action.CODE,
    "password_length": Action.PASSWORD,
    "origin_text": Action.LINK,
    "link_return": Action.LINK,
}


# What an issue never has together: `IssueBody` refuses the same.
NEVER_TOGETHER: dict[str, Any] = {
    "not": {
        "anyOf": [
            given("web_origin", "app_hash"),
            given("channel", "channels"),
            {"allOf": [given("embedded_origin"), {"not": given("web_origin")}]},
            {"allOf": [given("amount"), {"not": given("payee")}]},
            {"allOf": [given("payee"), {"not": given("amount")}]},
            {"allOf": [given("amount"), asks_for(*(each for each in Action if each not in ACTIONS_WITH_PAYMENT))]},
            *(
                {"allOf": [given(name), asks_for(*(other for other in Action if other is not owner))]}
                for name, owner in OF_ONE_ACTION.items()
            ),
            *(
                {"allOf": [longer_than(ACTIONS[action].LONGEST_TTL_SECONDS), asks_for(action)]}
                for action in (Action.CODE, Action.LINK, Action.REPLY, Action.CALL)
            ),
        ]
    }
}
