"""Wires: what the requests and responses of a route look like in bytes.

A route says what it does, and its wire how bodies are read, and results and problems written. Another format is another
`Wire`, not another kind of route. A wire that differs in one thing is made with `dataclasses.replace`.

    JSON_WIRE  JSON in and out, problems as RFC 9457 has them
    FORM_WIRE  forms in, JSON out
    HTML_WIRE  forms in, pages out
"""

import codecs
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python
from starlette import responses

from service.http.problems import HttpProblem, Problem
from service.http.response import HTML, JSON, Response, problem_response

FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 200
_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Wire:
    """One format.

    `body_type` is the media type of bodies. `parse` makes a model of a body: it raises pydantic's ValidationError or an
    `HttpProblem`. `render` writes what an endpoint returns, unless that is a `Response`, with the route's status.
    `render_problem` writes every refusal and error. The OpenAPI document shows the media type of `response_class` and
    the schema of `problem_model`.
    """

    body_type: str
    parse: Callable[[type[BaseModel], bytes], BaseModel]
    render: Callable[[Any, int], Response]
    render_problem: Callable[[HttpProblem], Response]
    response_class: type[responses.Response]
    problem_model: type[BaseModel] = Problem


def parse_json(model: type[_Model], body: bytes) -> _Model:
    """Read a JSON body."""
    try:
        return model.__pydantic_validator__.validate_json(body)  # type: ignore[no-any-return] # pydantic says Any
    except ValidationError:
        if body.startswith(_BYTE_ORDER_MARKS):
            detail = "The body starts with a byte order mark (BOM). Send the JSON without it, in UTF-8."
            raise HttpProblem("malformed_body", detail) from None
        raise


def parse_form(model: type[_Model], body: bytes) -> _Model:
    """Read a form. Of a field that comes twice the last value counts."""
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise HttpProblem("malformed_body", "The body cannot be read. Send a form, in UTF-8.") from None
    return model.model_validate(dict(fields))


def render_json(result: Any, status: int) -> Response:
    """Write a result, which may hold models, as JSON. Models are not validated again."""
    return Response(status, orjson.dumps(result, default=to_jsonable_python))


def render_page(page: str, status: int) -> Response:
    """Write a page."""
    return Response(status, page.encode(), media_type=HTML)


def render_problem_page(problem: HttpProblem) -> Response:
    """Write a problem as a page, for people."""
    told = problem.members
    title, detail = escape(told["title"]), escape(told.get("detail", ""))
    page = f'<!doctype html>\n<html lang="en"><title>{title}</title>\n<h1>{title}</h1>\n<p>{detail}</p>\n</html>\n'
    return Response(problem.status, page.encode(), problem.all_headers, HTML)


JSON_WIRE = Wire(
    body_type=JSON,
    parse=parse_json,
    render=render_json,
    render_problem=problem_response,
    response_class=responses.JSONResponse,
)
FORM_WIRE = replace(JSON_WIRE, body_type=FORM, parse=parse_form)
HTML_WIRE = replace(
    FORM_WIRE, render=render_page, render_problem=render_problem_page, response_class=responses.HTMLResponse
)
