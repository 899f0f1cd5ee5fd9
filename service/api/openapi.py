"""The OpenAPI document: FastAPI's, completed for those who integrate the service.

FastAPI knows paths, parameters and schemas. This module adds the flow (`pages/flow.md`), tags, examples
(`api.v1.examples`), code samples, response headers, the problems of each route in the format of its wire, and the
meanings of the values, and removes FastAPI's own texts. The document is written once, when it is first requested.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from service.api.code_samples import code_samples
from service.api.v1.examples import problem_example, request_examples, response_examples
from service.api.v1.readiness_examples import Example
from service.api.v1.words import MEANINGS, explained
from service.http.authentication import SECURITY_SCHEMES, insufficient_scope, unauthenticated
from service.http.load_shedding import overloaded
from service.http.problem_catalogue import CATALOGUE
from service.http.problems import HttpProblem, problem_of
from service.http.response import with_request_id
from service.http.route import DirectRoute, NoFields, ended_early, too_large, wrong_type
from service.http.wire import Wire

TAGS = [
    {
        "name": "verifications",
        "description": "Issue a code, check what the person typed, resend, cancel, read, search.",
    },
    {"name": "reports", "description": "What became of every send; for API keys with the scope `reports`."},
    {"name": "operations", "description": "For probes and Prometheus."},
    {
        "name": "twilio",
        "description": "Webhooks that Twilio calls, with its signature. "
        "`OTP_PUBLIC_URL` must be reachable from the internet under `/twilio/`.",
    },
]
_HEADERS = {
    "X-Request-Id": (
        "The id of this request in the log. It is yours if you send one of 16 to 64 hex digits or dashes.",
        {"type": "string"},
        "9f86d081884c7d65",
    ),
    "Location": (
        "The address of the new verification.",
        {"type": "string", "format": "uri-reference"},
        "/v1/verifications/ve_3f0917cf2a8b4c5d9e6f7a8b9c0d1e2f",
    ),
    "Retry-After": ("Seconds to wait; the same as `retry_after`.", {"type": "integer", "minimum": 1}, 23),
    "WWW-Authenticate": ("The scheme to authenticate with.", {"type": "string"}, "Bearer"),
    "RateLimit": (
        "The limit that is used up, and for how many seconds; for API keys only.",
        {"type": "string"},
        '"client_ip";r=0;t=23',
    ),
    "RateLimit-Policy": (
        "What that limit allows: `q` sends or searches in `w` seconds, one item for each window; for API keys only.",
        {"type": "string"},
        '"client_ip";q=30;w=600, "client_ip";q=200;w=86400',
    ),
    "Idempotent-Replayed": (
        "`true` if this is the first response again, because of the Idempotency-Key.",
        {"type": "string", "enum": ["true"]},
        "true",
    ),
}
_STATUSES = {
    400: "The request cannot be read.",
    401: "No valid credential.",
    403: "The credential or signature does not allow this.",
    404: "No such verification, or its record has expired.",
    409: "Not possible in this state, or not yet.",
    413: "The body is too large.",
    415: "The body has another media type.",
    422: "The request can be read, but is not valid or cannot be carried out.",
    429: "A limit is used up; API keys also get its name. Wait as long as Retry-After says.",
    500: "An unexpected error; the log has it under its `request_id`.",
    502: "Twilio refuses this service, not the number: the operator must act.",
    503: "Redis or Twilio is unavailable, or too many requests are in progress. "
    "Wait as long as Retry-After says, and repeat with the same Idempotency-Key.",
}
_SCHEMAS = "#/components/schemas/"


def flow() -> str:
    """Read the description at the start of the document."""
    return files("service.api").joinpath("pages/flow.md").read_text("utf-8")


def complete(document: dict[str, Any], routes: Iterable[DirectRoute]) -> None:
    """Complete FastAPI's document."""
    shown = [route for route in routes if route.include_in_schema]
    for route in shown:
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            _complete_operation(operation, route)
            _add_samples(operation, route, method)
    components = document.setdefault("components", {})
    components["securitySchemes"] = SECURITY_SCHEMES
    components["headers"] = {
        name: {"description": text, "schema": schema, "example": example}
        for name, (text, schema, example) in _HEADERS.items()
    }
    schemas = components.setdefault("schemas", {})
    for model in {route.wire.problem_model for route in shown}:
        schema = model.model_json_schema(ref_template=_SCHEMAS + "{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    for framework_word in ("HTTPValidationError", "ValidationError"):
        schemas.pop(framework_word, None)
    for words in MEANINGS:
        if words.__name__ in schemas:
            schemas[words.__name__]["description"] = explained(words)
    components["schemas"] = _plain(schemas)


def _complete_operation(operation: dict[str, Any], route: DirectRoute) -> None:
    name = operation["operationId"]
    operation["security"] = [{scheme: []} for scheme in route.access.schemes] if route.access else []
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _plain(parameter["schema"])
        if "examples" in parameter["schema"]:
            [parameter["example"]] = parameter["schema"].pop("examples")
    if "requestBody" in operation:
        [content] = operation["requestBody"]["content"].values()
        content["schema"] = _plain(content["schema"])
        content["schema"].pop("default", None)  # of a body that may be empty
        content["examples"] = _named(request_examples().get(name, {}))
        operation["requestBody"]["content"] = {route.wire.body_type: content}
    responses = operation["responses"]
    responses.pop("422", None)  # FastAPI's own; a direct route never sends it
    for status, response in responses.items():
        for media_type, content in response.get("content", {}).items():
            named = f"{name} as a table" if media_type == "text/csv" else name
            content["examples"] = _named(response_examples().get(named, {}))
        if status == "201":
            _add_headers(response, "Location")
    for problem in sorted(_problems(route), key=lambda problem: problem.status):
        _add_problem(responses, problem, route.wire)
    for response in responses.values():
        _add_headers(response, "X-Request-Id")


def _add_samples(operation: dict[str, Any], route: DirectRoute, method: str) -> None:
    body = next(iter(request_examples().get(operation["operationId"], {}).values()), None)
    operation["x-codeSamples"] = code_samples(
        method,
        route.path_format,
        has_key=route.access is not None,
        body_type=route.wire.body_type,
        body=None if body is None else body.value,
    )


def _problems(route: DirectRoute) -> Iterator[HttpProblem]:
    """List the problems of a route: those of all such routes, then its own."""
    yield HttpProblem("internal_error")
    if route.in_flight_share is not None:
        yield overloaded()
    if route.access is not None:
        yield unauthenticated()
        yield insufficient_scope(route.access.scope)
        yield problem_example("store_unavailable")
        if "clientToken" in route.access.schemes:
            yield replace(problem_example("rate_limited"), limit=None)
    if "POST" in (route.methods or ()):
        yield too_large(route.max_body_bytes)
        yield wrong_type(route.wire.body_type)
        if route.body_model is bytes:
            yield ended_early()
        else:
            yield HttpProblem("malformed_body")
            yield _invalid(route.body_model or NoFields)
    for code in route.problems:
        yield code if isinstance(code, HttpProblem) else problem_example(code)


def _invalid(model: type[BaseModel]) -> HttpProblem:
    """Make the problem of a body with an unknown field, by validating one."""
    try:
        model.model_validate({"unknown": 1})
    except ValidationError as failure:
        return problem_of(failure) or HttpProblem("invalid_request")
    raise AssertionError("every body refuses unknown fields")


def _add_problem(responses: dict[str, Any], problem: HttpProblem, wire: Wire) -> None:
    written = wire.render_problem(problem)
    schema = {"$ref": _SCHEMAS + wire.problem_model.__name__}
    response = responses.setdefault(
        str(problem.status),
        {
            "description": _STATUSES[problem.status],
            "content": {written.media_type: {"schema": schema, "examples": {}}},
        },
    )
    written = with_request_id(written, str(_HEADERS["X-Request-Id"][2]).encode())
    value = from_json(written.body) if "json" in written.media_type else written.body.decode()
    example = {"summary": CATALOGUE[problem.code].title, "value": value}
    response["content"][written.media_type]["examples"][str(problem.code)] = example
    given = {name.lower() for name in written.headers}
    _add_headers(response, *(name for name in _HEADERS if name.lower() in given))


def _add_headers(response: dict[str, Any], *names: str) -> None:
    for name in names:
        response.setdefault("headers", {})[name] = {"$ref": f"#/components/headers/{name}"}


def _named(examples: Mapping[str, Example]) -> dict[str, Any]:
    return {name: {"summary": example.summary, "value": example.value} for name, example in examples.items()}


def _plain(schema: Any) -> Any:
    """Drop what pydantic adds to each field: a title made of its name, and `default: null` if it is optional.

    A property named `title` or `default` stays: it is a schema, neither a string nor null.
    """
    if isinstance(schema, dict):
        return {
            name: part if name in ("examples", "default") else _plain(part)
            for name, part in schema.items()
            if not (name == "title" and isinstance(part, str)) and not (name == "default" and part is None)
        }
    return [_plain(part) for part in schema] if isinstance(schema, list) else schema
