"""The promises of `service.api.openapi`: a valid and complete OpenAPI document."""

import json
import re
from contextlib import nullcontext

import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import ValidationError

from service.api.v1.bodies import CheckBody, IssueBody
from service.api.v1.schemas import CheckResponse, IssueResponse, VerificationResponse
from service.api.v1.words import MEANINGS
from service.core.keyring import CLIENT_TOKEN_PREFIX
from service.core.phone import InvalidNumber, NumberPolicy, parse_number
from service.core.sender import Refusal
from service.http.problem_catalogue import CATALOGUE
from service.http.problems import Problem

MEDIA_TYPE = "application/problem+json"
ONE = "/v1/verifications/{verification_id}"
IDS = {
    ("post", "/v1/verifications"): "issueVerification",
    ("post", f"{ONE}/verify"): "verifyCode",
    ("post", f"{ONE}/resend"): "resendCode",
    ("post", f"{ONE}/cancel"): "cancelVerification",
    ("get", ONE): "readVerification",
    ("post", "/v1/verifications/search"): "searchVerifications",
    ("post", "/twilio/status/{verification_id}/{send_number}"): "receiveDeliveryStatus",
    ("post", "/twilio/call/{verification_id}/{send_number}"): "receiveCallStatus",
    ("post", "/twilio/spoken/{verification_id}/{send_number}"): "receiveKey",
    ("post", "/twilio/message"): "receiveMessage",
    ("post", "/twilio/voice"): "receiveCall",
    ("post", "/twilio/voice/{try_number}"): "receiveKeys",
    ("get", "/v1/reports/conversion"): "readConversion",
    ("get", "/v1/reports/unconverted"): "listUnconverted",
    ("get", "/livez"): "readLiveness",
    ("get", "/readyz"): "readReadiness",
    ("get", "/metrics"): "readMetrics",
}


def documented_codes(operation):
    """Return the problem codes that an operation documents, by status."""
    return {
        code: int(status)
        for status, response in operation["responses"].items()
        for code in response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
    }


def nodes(node):
    """Yield every object of the document."""
    if isinstance(node, dict):
        yield node
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(part)


def references(document):
    """Yield every $ref."""
    return (node["$ref"] for node in nodes(document) if isinstance(node.get("$ref"), str))


def schemas(document):
    """Yield every schema, by name, and every schema within."""
    pending = list(document["components"]["schemas"].items())
    while pending:
        name, schema = pending.pop()
        yield name, schema
        pending += [(f"{name}.{inner}", part) for inner, part in schema.get("properties", {}).items()]


def test_the_document_is_valid(document):
    """The document is valid OpenAPI 3.1, including its defaults and schemas."""
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")


def test_every_reference_resolves_and_every_component_is_used(document):
    """Each $ref resolves, and each schema and header is referenced."""
    found = set(references(document))
    for reference in found:
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        assert node
    components = document["components"]
    assert found == {f"#/components/{kind}/{name}" for kind in ("schemas", "headers") for name in components[kind]}


def test_no_default_is_null(document):
    """No optional field has `default: null`: readers would take it for a value that is sent."""
    assert [node for node in nodes(document) if node.get("default", "") is None] == []


def test_the_document_describes_the_service(document):
    """Title, version, licence, a relative server and a text that explains the whole flow, in this order."""
    info = document["info"]
    assert (info["title"], info["license"]["identifier"]) == ("otp-service", "MIT")
    assert re.fullmatch(r"\d+\.\d+\.\d+", info["version"])
    assert [server["url"] for server in document["servers"]] == ["/"]
    story = re.split(r"issues|types|checks it|sees `approved` itself|tells Twilio", info["description"])
    assert len(story) >= 6
    for word in ("client_token", "purpose", "Idempotency-Key", "Retry-After", "RFC 9457", "X-Request-Id"):
        assert word in info["description"]


def test_every_endpoint_is_described(operations, document):
    """The document lists exactly the existing routes, each with a method name, a summary, a text and one tag."""
    assert {(method, path): operation["operationId"] for method, path, operation in operations} == IDS
    tags = [tag["name"] for tag in document["tags"]]
    assert all(tag["description"] for tag in document["tags"])
    assert tags == ["verifications", "reports", "operations", "twilio"]
    for _, path, operation in operations:
        assert re.fullmatch(r"[a-z]+(?:[A-Z][a-z]+)+", operation["operationId"])
        assert operation["summary"]
        assert operation["description"]
        assert len(operation["tags"]) == 1
        assert operation["tags"][0] in tags
        declared = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"}
        assert declared == set(re.findall(r"{(\w+)}", path))
    assert len(set(IDS.values())) == len(IDS)


def test_every_parameter_is_described_and_bounded(operations):
    """Each parameter has a text, a format or a length, and an example; an optional one has the example in its text."""
    for _, _, operation in operations:
        for parameter in operation.get("parameters", []):
            assert parameter["description"]
            schema = parameter["schema"]
            assert schema["type"] == "string" or {"minimum", "maximum"} <= schema.keys()
            if not parameter["required"]:
                assert "example" not in parameter, "Swagger UI would send it"
                assert "for example `" in parameter["description"]
            elif "pattern" in parameter["schema"]:
                assert re.search(parameter["schema"]["pattern"], parameter["example"])


def test_nothing_is_named_by_the_framework(document):
    """No schema or field has a generated title, no response is FastAPI's, and there is no `default` response."""
    assert not [name for name, schema in schemas(document) if isinstance(schema.get("title"), str)]
    text = json.dumps(document)
    for word in ("HTTPValidationError", "Successful Response", "Body_", '"default": {"description"'):
        assert word not in text
    assert "422" not in document["paths"][ONE]["get"]["responses"]


def test_every_response_is_described(operations):
    """Each response has a text; each media type of a request or response has an example."""
    for _, _, operation in operations:
        assert "default" not in operation["responses"]
        for response in operation["responses"].values():
            assert response["description"].endswith(".")
        for part in [operation.get("requestBody", {}), *operation["responses"].values()]:
            for content in part.get("content", {}).values():
                assert content["examples"]
                assert all(example["summary"] for example in content["examples"].values())


def test_enum_values_are_explained(document):
    """The description of each enum explains each of its values."""
    for words, meanings in MEANINGS.items():
        assert set(meanings) == set(words)
        description = document["components"]["schemas"][words.__name__]["description"]
        for word in words:
            assert f"- `{word}`: " in description
    assert len([name for name, schema in schemas(document) if "." not in name and "enum" in schema]) <= len(MEANINGS)


def test_instants_are_date_times_and_what_may_be_missing_is_nullable(document):
    """Every field that ends in `_at` is a date-time; null is a separate type, as in OpenAPI 3.1."""
    for name, schema in schemas(document):
        if name.endswith("_at"):
            assert "date-time" in {choice.get("format") for choice in schema.get("anyOf", [schema])}, name
        assert "nullable" not in schema
    assert {"type": "null"} in document["components"]["schemas"]["VerificationResponse"]["properties"]["resend_at"][
        "anyOf"
    ]


def test_a_request_shows_its_limits(document, operations):
    """JSON requests allow no other field; each field is described, and each value has its bounds."""
    for _, _, operation in operations:
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            if media_type != "application/json":
                continue
            schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
            assert schema["additionalProperties"] is False
            for name, field in schema["properties"].items():
                assert field["description"], name
                forms = [choice for choice in field.get("anyOf", [field]) if choice != {"type": "null"}]
                bounds = {"pattern", "enum", "minimum", "maxLength", "maxItems", "format", "$ref"}
                assert forms, name
                assert all(bounds & set(form) for form in forms), name
            for name in schema.get("required", ()):
                assert schema["properties"][name]["examples"]


@pytest.mark.parametrize(
    ("fields", "is_valid"),
    [
        ({"to": "\u202a+1 (415)\u00a0555-0123\u202c"}, True),
        ({"to": "415 555 0123", "country": "US"}, True),
        ({"country": "UK"}, False),
        ({"country": None}, True),
        ({"to": "+1" + "0" * 63}, False),
        ({"to": "+1 415 555 CODE"}, False),
        ({"channel": None, "action": None, "purpose": None, "locale": None, "code_length": None}, True),
        ({"locale": "xx"}, True),
        ({"locale": "pt_BR"}, True),
        ({"locale": "en-GB-x-" + "twang-" * 9 + "xy"}, True),
        ({"locale": "en-GB-x-" + "twang-" * 9 + "xyz"}, False),
        ({"locale": "en-"}, False),
        ({"locale": "en\n"}, False),
        ({"web_origin": "login.example.com"}, True),
        ({"web_origin": "https://login.example.com"}, True),
        ({"web_origin": "a..b"}, False),
        ({"web_origin": "a.com", "embedded_origin": "b.com"}, True),
        ({"web_origin": "a.com", "embedded_origin": None}, True),
        ({"web_origin": "a.com", "embedded_origin": "https://"}, False),
        ({"embedded_origin": "b.com"}, False),
        ({"web_origin": None, "embedded_origin": "b.com"}, False),
        ({"web_origin": "a.com", "embedded_origin": "b.com", "action": "link"}, False),
        ({"web_origin": "localhost"}, True),
        ({"web_origin": "1password.example"}, True),
        *[({"web_origin": host}, False) for host in ("192.0.2.1", "https://192.0.2.1", "127.1", "0x7f", "Example.com")],
        ({"web_origin": "x." * 33 + "x"}, False),
        ({"web_origin": None, "app_hash": "FA+9qCX9VSu"}, True),
        ({"web_origin": None, "app_hash": None}, True),
        ({"web_origin": "login.example.com", "app_hash": "FA+9qCX9VSu"}, False),
        ({"client_ip": "192.0.2.7"}, True),
        ({"client_ip": "2001:db8::7"}, True),
        ({"client_ip": "fe80::1%eth0"}, False),
        ({"client_ip": "localhost"}, False),
        ({"code_length": 6.0, "ttl_seconds": 60.0}, True),
        ({"code_length": 9.0}, False),
    ],
)
def test_the_document_and_the_endpoint_agree(document, fields, is_valid):
    """Validation by the document and by the service accepts and refuses the same requests."""
    agree(document, IssueBody, {"to": "+14155550123", **fields}, is_valid=is_valid)


@pytest.mark.parametrize(
    ("code", "is_valid"),
    [
        ("583092", True), ("583 092", True), ("583-092\n", True), ("583\u00a0092", True),
        ("\u200f\u0665\u0668\u0663\u0660", True),
        ("५८३०९२", True), ("\uff15\uff18\uff13\uff10", True), ("123", False), ("1 2 3", False), ("123456789", False),
        ("12345x", False), ("+12345", False), ("123.456", False), ("", False), ("1" * 65, False), (583092, False),
    ],
)  # fmt: skip
def test_the_document_and_the_endpoint_agree_on_codes(document, code, is_valid):
    """Validation by the document and by the service accepts and refuses the same codes."""
    agree(document, CheckBody, {"code": code}, is_valid=is_valid)


def test_a_request_has_no_default_in_the_document(document):
    """Type generators make fields with a default required: the smallest request would not compile."""
    for name in ("IssueBody", "CheckBody"):
        schema = document["components"]["schemas"][name]
        assert schema.get("required", []) == (["to"] if name == "IssueBody" else [])  # a check has a code or a password
        assert not [field for field, described in schema["properties"].items() if "default" in described]


def agree(document, model, body, *, is_valid):
    """Validate a body by the document and at the endpoint."""
    schema = {**document, "$ref": f"#/components/schemas/{model.__name__}"}
    assert OAS31Validator(schema, format_checker=oas31_format_checker).is_valid(body) is is_valid
    with nullcontext() if is_valid else pytest.raises((ValidationError, InvalidNumber)):
        read = model.model_validate_json(json.dumps(body))
        if model is IssueBody:  # the number is read by the rules
            parse_number(read.to, NumberPolicy(), country=read.country)


async def test_every_endpoint_accepts_exactly_its_documented_credentials(operations, running):
    """No credential, a client token, a key without the scope: each endpoint responds as its `security` says."""
    issued = await running.issue()
    assert issued["client_token"].startswith(CLIENT_TOKEN_PREFIX)
    for method, path, operation in operations:
        if path.startswith("/twilio/"):
            assert operation["security"] == []
            continue
        address = path.replace("{verification_id}", issued["id"])
        named = {name for choice in operation["security"] for name in choice}
        body = {"to": "+1", "code": "x"} if method == "post" else None  # refused behind the credential
        async with running.http.request(method, address, json=body) as received:
            assert (received.status == 401) == bool(named), path
        status, _, _ = await running.call(method, address, body, key=issued["client_token"])
        assert (status == 403) == (named == {"apiKey"}), path
        assert status != 401
        status, _, _ = await running.call(method, address, body, key="otp_sk_unknown")
        assert (status == 401) == bool(named), path


def test_both_credentials_are_described(document):
    """There are two schemes, both bearer, and each says who holds the credential."""
    schemes = document["components"]["securitySchemes"]
    assert set(schemes) == {"apiKey", "clientToken"}
    for scheme in schemes.values():
        assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
        assert scheme["bearerFormat"]
        assert scheme["description"].startswith("For ")


async def test_the_metrics_key_shows_in_the_document(start):
    """With `OTP_METRICS_KEY` the document says that /metrics requires an API key."""
    service = await start(otp_metrics_key=True)
    _, document, _ = await service.call("GET", "/openapi.json")
    operation = document["paths"]["/metrics"]["get"]
    assert operation["security"] == [{"apiKey": []}]
    assert {"unauthenticated", "insufficient_scope"} <= set(documented_codes(operation))


# Problems of the router and the server, which belong to no route.
ROUTERS_OWN = {"not_found", "method_not_allowed", "malformed_request", "request_timeout", "headers_too_large"}
# Its routes are not in the document.
DASHBOARDS_OWN = {"dashboard_refused"}
# Its title says enough; further details are not disclosed.
SILENT = {"internal_error"}


def test_every_problem_is_documented_with_an_example(operations):
    """Each code of the catalogue is documented at a route, under its status, with an example that has a detail."""
    seen = set()
    for _, _, operation in operations:
        for status, response in operation["responses"].items():
            for media_type, content in response.get("content", {}).items():
                if int(status) < 400:
                    continue
                assert media_type == MEDIA_TYPE
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                for code, example in content["examples"].items():
                    problem = Problem.model_validate(example["value"], strict=True)
                    assert (problem.code, problem.status) == (code, int(status)) == (code, CATALOGUE[code][0])
                    assert (problem.detail is None) == (code in SILENT)
                    seen.add(code)
    assert seen == set(CATALOGUE) - ROUTERS_OWN - DASHBOARDS_OWN


def test_the_limit_of_searches_is_the_one_that_counts_them(document):
    """The documented 429 of a search names `api_key`: nothing else limits searches."""
    response = document["paths"]["/v1/verifications/search"]["post"]["responses"]["429"]
    assert response["content"][MEDIA_TYPE]["examples"]["rate_limited"]["value"]["limit"] == "api_key"


ASKS_A_KEY = {"unauthenticated", "insufficient_scope", "store_unavailable", "internal_error", "overloaded"}
READS_A_BODY = {"malformed_body", "body_too_large", "unsupported_media_type", "invalid_request"}
TAKES_AN_IDEMPOTENCY_KEY = {"invalid_idempotency_key", "idempotency_key_reused"}
SENDS = {
    *Refusal, "provider_unavailable", "rate_limited", "request_in_progress", "channel_unavailable",
    *TAKES_AN_IDEMPOTENCY_KEY,
}  # fmt: skip
RECEIVES = {"bad_signature", "body_too_large", "malformed_body", "unsupported_media_type"} | {
    "store_unavailable", "internal_error", "overloaded",
}  # fmt: skip
CAN_ANSWER = {
    "issueVerification": ASKS_A_KEY | READS_A_BODY | SENDS | {"client_ip_required", "sender_cannot_receive"},
    "verifyCode": ASKS_A_KEY
    | READS_A_BODY
    | TAKES_AN_IDEMPOTENCY_KEY
    | {"unknown_verification", "wrong_action", "rate_limited"},
    "resendCode": ASKS_A_KEY | READS_A_BODY | SENDS | {"unknown_verification", "not_pending", "max_sends_reached"},
    "cancelVerification": ASKS_A_KEY | READS_A_BODY | {"unknown_verification"},
    "readVerification": ASKS_A_KEY | {"unknown_verification", "rate_limited"},
    "receiveDeliveryStatus": RECEIVES,
    "receiveCallStatus": RECEIVES,
    "receiveKey": RECEIVES,
    "receiveMessage": RECEIVES,
    "receiveCall": RECEIVES,
    "receiveKeys": RECEIVES,
    "readConversion": ASKS_A_KEY | {"invalid_request"},
    "listUnconverted": ASKS_A_KEY | {"invalid_request"},
    "readLiveness": {"internal_error"},
    "readReadiness": {"store_unavailable", "draining", "internal_error"},
    "readMetrics": {"internal_error"},
}


@pytest.mark.parametrize("name", CAN_ANSWER)
def test_each_endpoint_documents_its_problems(operations, name):
    """Each endpoint lists exactly its possible problems, lower statuses first."""
    [operation] = [operation for _, _, operation in operations if operation["operationId"] == name]
    assert set(documented_codes(operation)) == CAN_ANSWER[name]
    assert list(operation["responses"]) == sorted(operation["responses"])


async def test_responses_match_their_documented_schemas(running, document):
    """Responses are valid under the schemas that the document names for their statuses, field by field."""
    issued = await running.issue(reference="order-1")
    one = f"/v1/verifications/{issued['id']}"
    _, resent, _ = await running.call("POST", f"{one}/resend")
    checked = await running.verify(issued["id"], running.codes()[0])
    _, canceled, _ = await running.call("POST", f"/v1/verifications/{(await running.issue())['id']}/cancel")
    for shown, model, method, path in (
        (issued, IssueResponse, "post", "/v1/verifications"),
        (resent, VerificationResponse, "post", f"{ONE}/resend"),
        (checked, CheckResponse, "post", f"{ONE}/verify"),
        (canceled, VerificationResponse, "post", f"{ONE}/cancel"),
        (await running.read(issued["id"]), VerificationResponse, "get", ONE),
    ):
        status = "201" if shown is issued else "200"
        schema = document["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]
        assert schema == {"$ref": f"#/components/schemas/{model.__name__}"}
        assert model.model_validate_json(json.dumps(shown), strict=True)
        properties = document["components"]["schemas"][model.__name__]
        assert set(shown) == set(properties["properties"]) == set(properties["required"])
