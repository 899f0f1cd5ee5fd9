"""The promises of `service.api.application`: a sound OpenAPI document, docs without a foreign host, or none at all."""

import json
import re
from urllib.parse import urljoin

import pytest

from service.api.problems import CATALOGUE, Problem
from service.api.schemas import CheckAnswer, IssuedAnswer, VerificationAnswer
from service.core.sender import Refusal
from service.core.verification import is_id

MEDIA_TYPE = "application/problem+json"
ONE = "/v1/verifications/{verification_id}"
# What the router says of an address has no route to stand at.
ROUTERS_OWN = {"not_found", "method_not_allowed"}


@pytest.fixture
async def document(running):
    """Give the OpenAPI document as it is served."""
    status, body, _ = await running.call("GET", "/openapi.json")
    assert status == 200
    return body


def operations(document):
    """List (method, path, operation)."""
    return [(method, path, found) for path, methods in document["paths"].items() for method, found in methods.items()]


def documented_codes(operation):
    """Give the problem codes that an operation documents, by status."""
    return {
        code: int(status)
        for status, response in operation["responses"].items()
        for code in response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
    }


def references(node):
    """Walk through every $ref."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


async def test_every_reference_resolves(document):
    """Each $ref of the document leads to something in it, and each schema is used."""
    found = set(references(document))
    for reference in found:
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        assert node
    assert {f"#/components/schemas/{name}" for name in document["components"]["schemas"]} == found


async def test_every_door_is_described(document):
    """The document lists exactly the doors there are, each with a summary, a text, a tag and its own id."""
    assert {(method, path) for method, path, _ in operations(document)} == {
        ("post", "/v1/verifications"),
        ("get", ONE),
        ("post", f"{ONE}/verify"),
        ("post", f"{ONE}/resend"),
        ("post", f"{ONE}/cancel"),
        ("post", "/twilio/status/{verification_id}/{send_number}"),
        ("get", "/livez"),
        ("get", "/readyz"),
        ("get", "/metrics"),
    }
    for _, path, operation in operations(document):
        assert operation["summary"]
        assert operation["description"]
        assert operation["tags"]
        declared = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"}
        assert declared == set(re.findall(r"{(\w+)}", path))
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    assert document["openapi"].startswith("3.1")


async def test_every_door_says_which_credential_it_takes(document):
    """API doors name their schemes, the client token only where it is taken; probes and Twilio's door name none."""
    schemes = set(document["components"]["securitySchemes"])
    given = {
        (method, path): {name for choice in operation.get("security", []) for name in choice}
        for method, path, operation in operations(document)
    }
    assert given[("post", "/v1/verifications")] == given[("post", f"{ONE}/cancel")] == {"apiKey"}
    for door in (("get", ONE), ("post", f"{ONE}/verify"), ("post", f"{ONE}/resend")):
        assert given[door] == {"apiKey", "clientToken"} == schemes
    for door, named in given.items():
        assert bool(named) == door[1].startswith("/v1/")


async def test_the_metrics_key_shows_in_the_document(start):
    """With `OTP_METRICS_KEY` the document says that /metrics wants an API key."""
    service = await start(otp_metrics_key=True)
    _, document, _ = await service.call("GET", "/openapi.json")
    assert document["paths"]["/metrics"]["get"]["security"] == [{"apiKey": []}]


async def test_every_problem_is_documented_with_an_example(document):
    """Each code of the catalogue stands under its status at a door, with an example that fits the Problem schema."""
    seen = {}
    for _, _, operation in operations(document):
        for status, response in operation["responses"].items():
            for media_type, content in response.get("content", {}).items():
                if int(status) < 400:
                    continue
                assert media_type == MEDIA_TYPE
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                for code, example in content["examples"].items():
                    problem = Problem.model_validate(example["value"], strict=True)
                    assert (problem.code, problem.status) == (code, int(status)) == (code, CATALOGUE[code][0])
                    seen[code] = example
    assert set(seen) == set(CATALOGUE) - ROUTERS_OWN


ASKS_A_KEY = {"unauthenticated", "insufficient_scope", "store_unavailable", "internal_error"}
READS_A_BODY = {"malformed_body", "body_too_large", "unsupported_media_type", "invalid_request"}
TAKES_AN_IDEMPOTENCY_KEY = {"invalid_idempotency_key", "idempotency_key_reused"}
SENDS = {*Refusal, "twilio_unavailable", "rate_limited", "request_in_progress", *TAKES_AN_IDEMPOTENCY_KEY}
CAN_ANSWER = {
    ("post", "/v1/verifications"): ASKS_A_KEY | READS_A_BODY | SENDS | {"client_ip_required"},
    ("post", f"{ONE}/verify"): ASKS_A_KEY
    | READS_A_BODY
    | TAKES_AN_IDEMPOTENCY_KEY
    | {"unknown_verification", "rate_limited"},
    ("post", f"{ONE}/resend"): ASKS_A_KEY
    | READS_A_BODY
    | SENDS
    | {"unknown_verification", "not_pending", "max_sends_reached"},
    ("post", f"{ONE}/cancel"): ASKS_A_KEY | READS_A_BODY | {"unknown_verification"},
    ("get", ONE): ASKS_A_KEY | {"unknown_verification", "rate_limited"},
    ("post", "/twilio/status/{verification_id}/{send_number}"): {"bad_signature", "body_too_large"}
    | {"malformed_body", "unsupported_media_type", "store_unavailable", "internal_error"},
}


async def test_each_door_documents_what_it_can_answer(document):
    """Each door lists exactly the problems that it can answer, neither fewer nor more."""
    for (method, path), codes in CAN_ANSWER.items():
        assert set(documented_codes(document["paths"][path][method])) == codes, path


async def test_no_door_documents_what_it_never_answers(document):
    """The framework's own 422 is in no description, and reading asks no body to be valid."""
    assert "HTTPValidationError" not in json.dumps(document)
    assert "422" not in document["paths"][ONE]["get"]["responses"]


async def test_a_reader_can_try_every_request(document):
    """Each required field of a request, and each id in a path, has an example that the schema accepts."""
    for _, path, operation in operations(document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
            assert schema["additionalProperties"] is False
            for name in schema["required"]:
                assert schema["properties"][name]["examples"]
            assert all("description" in field for name, field in schema["properties"].items()), path
        if path.startswith(ONE):
            named = operation["parameters"][0]
            assert is_id((named.get("examples") or named["schema"]["examples"])[0])


async def test_the_answers_are_those_of_the_document(running, document):
    """What the service answers fits the schemas that the document names for these statuses, field by field."""
    issued = await running.issue(reference="order-1")
    one = f"/v1/verifications/{issued['id']}"
    _, resent, _ = await running.call("POST", f"{one}/resend")
    checked = await running.verify(issued["id"], running.codes()[0])
    _, canceled, _ = await running.call("POST", f"/v1/verifications/{(await running.issue())['id']}/cancel")
    for answer, model, method, path in (
        (issued, IssuedAnswer, "post", "/v1/verifications"),
        (resent, VerificationAnswer, "post", f"{ONE}/resend"),
        (checked, CheckAnswer, "post", f"{ONE}/verify"),
        (canceled, VerificationAnswer, "post", f"{ONE}/cancel"),
        (await running.read(issued["id"]), VerificationAnswer, "get", ONE),
    ):
        status = "201" if answer is issued else "200"
        schema = document["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]
        assert schema == {"$ref": f"#/components/schemas/{model.__name__}"}
        assert model.model_validate_json(json.dumps(answer), strict=True)
        properties = document["components"]["schemas"][model.__name__]
        assert set(answer) == set(properties["properties"]) == set(properties["required"])


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_the_docs_name_no_foreign_host_and_their_files_are_served(running, path):
    """The pages load their scripts, styles and icons from this service, so they work without a network."""
    async with running.http.get(path) as answer:
        page = await answer.text()
        assert (answer.status, answer.content_type) == (200, "text/html")
    assert re.findall(r"(?:https?:)?//[\w.-]+", re.sub(r"//\s.*", "", page)) == []
    loaded = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page)
    assert len(loaded) >= 2
    for address in loaded:
        async with running.http.get(address) as answer:
            assert answer.status == 200, address
            assert len(await answer.read()) > 100
    assert "/openapi.json" in page


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_the_docs_keep_their_own_content_security_policy(running, path):
    """The policy of the pages allows this service and what stands in the page, and the pages ask for nothing else."""
    async with running.http.get(path) as answer:
        page = await answer.text()
        [policy] = answer.headers.getall("Content-Security-Policy")
    directives = {name: values for name, *values in (part.split() for part in policy.split(";"))}
    assert directives == {"default-src": ["'self'", "'unsafe-inline'", "data:", "blob:"], "frame-ancestors": ["'none'"]}
    origin = f"{running.url}/"
    asked = re.findall(r"""(?:src|href|action|srcset)=["']?([^"'\s>]+)""", page)
    asked += re.findall(r"""(?:url|Url|redirect_uri|spec-url)["']?\s*[:=]\s*["']([^"']+)["']""", page)
    asked += re.findall(r"""(?:url\(|@import\s+|fetch\(|import\()["']?([^"')\s]+)""", page)
    assert len(asked) >= 3
    for address in asked:
        assert urljoin(running.url + path, address).startswith((origin, "data:")), address


async def test_no_page_may_frame_or_extend_an_answer(running, expect):
    """The same policy stands once on every answer, problems and data too."""
    for target in ("/livez", "/nothing", "/openapi.json", "/v1/verifications/x"):
        _, _, headers = await running.call("GET", target)
        [policy] = headers.getall("Content-Security-Policy")
        assert "frame-ancestors 'none'" in policy
        assert "http" not in policy


async def test_the_docs_can_be_left_out(start, expect):
    """`OTP_DOCS=false` leaves no page, no file and no document, and the API as it was."""
    service = await start(otp_docs=False)
    for path in ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect", "/static-offline-docs/swagger-ui.css"):
        expect(await service.call("GET", path), 404, "not_found")
    await service.issue()
