"""The endpoints of the reports, for API keys with the scope `reports`: how parameters are read, and routes."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from starlette.routing import BaseRoute

from service.api.v1.report_schemas import ReportResponse, UnconvertedResponse
from service.api.v1.schemas import Object
from service.core.api_keys import Scope
from service.core.channels import Channel
from service.core.reports.counters import Reason
from service.core.reports.question import (
    FILTER_PATTERNS,
    FILTERS,
    GROUPINGS_PATTERN,
    INSTANT_PATTERN,
    SPAN_PATTERN,
    ZONE_PATTERN,
    Grouping,
    QuestionUnfit,
    read_filter,
    read_question,
)
from service.core.reports.report import Conversion, Report
from service.core.reports.unconverted import MOST_LISTED, Unconverted
from service.http.authentication import Authenticator
from service.http.problems import HttpProblem
from service.http.request import Request
from service.http.response import Response
from service.http.route import DirectRoute
from service.http.wire import render_json

CSV = "text/csv; charset=utf-8"
REPORTS_SHARE = 0.25  # of the slots: reports wait for each other, and what is left must do for sends
_MOST_PARAMETERS = 20
_LONGEST_VALUE = 200
_FORMATS = ("json", "csv")
_DEFAULT_LISTED = 50
_TIME_EXAMPLE = "for example `2026-11-28T13:00:00Z`, or a day such as 2026-11-28"


class ReportEndpoints:
    """Reads the parameters of reports, and writes them."""

    def __init__(self, conversion: Conversion, unconverted: Unconverted) -> None:
        self._conversion = conversion
        self._unconverted = unconverted

    async def conversion(self, request: Request) -> Response:
        """Show what became of every send and every verification, with Twilio's figures beside ours.

        A send and its outcome are counted in the hour in which it was sent, a verification in the hour of its issue.
        Hours are kept for 35 days, days (UTC) for 400. With `Accept: text/csv` or `format=csv` the response is a table.
        """
        given = parameters(request)
        try:
            form = _format(given.pop("format", None))
            report = await self._conversion.report(read_question(given, await self._conversion.now_ms()))
        except QuestionUnfit as unfit:
            raise unfit_parameter(unfit) from None
        wants_csv = form == "csv" or (request.header(b"accept") or "").startswith("text/csv")
        # In a thread: hundreds of days take some 20 ms to write, which no check may wait for.
        return await asyncio.to_thread(_table if wants_csv else _document, report)

    async def unconverted(self, request: Request) -> Object | Response:
        """List the newest sends that did not convert, each with its reason. The list holds no number.

        A send is listed once the last code of its verification has ended. When more than about 16,000 verifications are
        open at a time, it is a sample.
        """
        given = parameters(request)
        try:
            _check_names(given, _UNCONVERTED)
            sends = await self._unconverted.newest(
                _limit(given.get("limit")),
                countries=_filter(given, "country"),
                channels=_filter(given, "channel"),
                reasons=_filter(given, "reason"),
            )
        except QuestionUnfit as unfit:
            raise unfit_parameter(unfit) from None
        return {"sends": [send.json() for send in sends]}


def _table(report: Report) -> Response:
    headers = {"content-disposition": 'attachment; filename="conversion.csv"'}
    return Response(200, report.csv().encode(), headers, CSV)


def _document(report: Report) -> Response:
    return render_json(report.json(), 200)


def parameters(request: Request) -> dict[str, str]:
    """Read the parameters of a request."""
    try:
        query = request.view.head.query.decode()
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise HttpProblem("invalid_request", "The parameters cannot be read.") from None
    if len(dict(pairs)) < len(pairs):
        raise HttpProblem("invalid_request", "A parameter comes twice. Write several values with commas.")
    for name, value in pairs:
        if len(value) > _LONGEST_VALUE:
            raise unfit_parameter(QuestionUnfit(name, f"Write at most {_LONGEST_VALUE} characters."))
    return dict(pairs)


def unfit_parameter(unfit: QuestionUnfit) -> HttpProblem:
    """Make the problem of a parameter; an unknown one is not repeated."""
    known = {parameter["name"] for parameter in (*_CONVERSION, *_UNCONVERTED)}
    named = f"The parameter {unfit.parameter} is not valid. " if unfit.parameter in known else ""
    return HttpProblem("invalid_request", f"{named}{unfit}")


def report_routes(endpoints: ReportEndpoints, auth: Authenticator) -> list[BaseRoute]:
    """List the routes."""
    route = partial(DirectRoute, access=auth.key(Scope.REPORTS), in_flight_share=REPORTS_SHARE, tags=["reports"])
    unfit = unfit_parameter(QuestionUnfit("tz", "Write the name of a time zone, such as Europe/Berlin."))
    return [
        route(
            "/v1/reports/conversion",
            endpoints.conversion,
            operation_id="readConversion",
            response_model=ReportResponse,
            response_description="The report.",
            responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
            problems=(unfit,),
            openapi_extra={"parameters": _CONVERSION},
            summary="What became of every send",
        ),
        route(
            "/v1/reports/unconverted",
            endpoints.unconverted,
            operation_id="listUnconverted",
            response_model=UnconvertedResponse,
            response_description="The newest first; none is no error.",
            problems=(unfit,),
            openapi_extra={"parameters": _UNCONVERTED},
            summary="The newest sends that did not convert",
        ),
    ]


def _check_names(given: Mapping[str, str], described: Sequence[Mapping[str, Any]]) -> None:
    if not given.keys() <= {parameter["name"] for parameter in described}:
        raise QuestionUnfit("", "A parameter is not known.")


def _format(text: str | None) -> str | None:
    if text is not None and text not in _FORMATS:
        raise QuestionUnfit("format", f"Write one of {', '.join(_FORMATS)}.")
    return text


def _limit(text: str | None) -> int:
    if text is None:
        return _DEFAULT_LISTED
    if re.fullmatch("[1-9][0-9]{0,2}", text) is None or int(text) > MOST_LISTED:
        raise QuestionUnfit("limit", f"Write a number from 1 to {MOST_LISTED}.")
    return int(text)


def _filter(given: Mapping[str, str], name: str) -> Sequence[str]:
    return read_filter(name, given[name]) if name in given else ()


def _parameter(name: str, description: str, **schema: Any) -> Mapping[str, Any]:
    """Describe a parameter; without a schema it is a filter."""
    if not schema:
        schema = {"type": "string", "maxLength": _LONGEST_VALUE}
        if name in FILTER_PATTERNS:
            schema["pattern"] = f"^(?:{FILTER_PATTERNS[name]})$"
    return {"in": "query", "name": name, "required": False, "schema": schema, "description": description}


def _text(pattern: str) -> Mapping[str, Any]:
    """Describe a text of this pattern; an empty one counts as absent."""
    return {"type": "string", "pattern": f"^(?:{pattern})?$", "maxLength": _LONGEST_VALUE}


_COUNTRY = _parameter("country", "Only these countries, for example `US,DE`.")
_CHANNEL = _parameter("channel", f"Only these channels, for example `{','.join(list(Channel)[:2])}`.")
_CONVERSION = [
    _parameter(
        "from", f"The beginning, {_TIME_EXAMPLE}. The default is 24 hours before the end.", **_text(INSTANT_PATTERN)
    ),
    _parameter("to", f"The end, {_TIME_EXAMPLE}. The default is now.", **_text(INSTANT_PATTERN)),
    _parameter(
        "since", "Instead of `from`: so long before the end, for example `24h` or `30d`.", **_text(SPAN_PATTERN)
    ),
    _parameter(
        "tz", "The time zone of hours and days, for example `Europe/Berlin`. The default is UTC.", **_text(ZONE_PATTERN)
    ),
    _parameter(
        "group_by", f"At most two of {', '.join(Grouping)}, for example `day,country`.", **_text(GROUPINGS_PATTERN)
    ),
    _COUNTRY,
    _CHANNEL,
    *(
        _parameter(name, f"Only these, for example `{example}`.")
        for name, example in {
            "sender": "+15005550006",
            "purpose": "login,payment",
            "action": "code",
            "send_number": "2,3",
        }.items()
        if name in set(FILTERS)
    ),
    _parameter(
        "format",
        "The form of the response, for example `csv`. The default is JSON.",
        type="string",
        enum=[*_FORMATS],
    ),
]
_UNCONVERTED = [
    _parameter(
        "limit",
        f"At most so many, up to {MOST_LISTED}, for example `100`. The default is {_DEFAULT_LISTED}.",
        type="integer",
        minimum=1,
        maximum=MOST_LISTED,
    ),
    _COUNTRY,
    _CHANNEL,
    _parameter("reason", f"Only for these reasons of {', '.join(list(Reason)[1:])}, for example `not_delivered`."),
]
