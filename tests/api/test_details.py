"""The style of `detail`, over all problems and validators: sentences with a capital and a full stop."""

import re

import pytest

from service.api.v1.bodies import CheckBody, IssueBody, ResendBody, SearchBody
from service.core.actions import Action
from service.core.channels import CHANNELS, Channel, ChannelUnfit
from service.core.phone import InvalidNumber, canonical_number
from service.http.endings import EVERY_ENDING
from service.http.problem_catalogue import CATALOGUE

SENTENCES = re.compile(r"[A-Z][^;\n]*[^.\s]\.")
# What has no detail in the catalogue: the first must reveal nothing, the others say their own each time.
WITHOUT = {
    *("internal_error", "insufficient_scope", "dashboard_refused"),
    *("not_pending", "body_too_large", "unsupported_media_type"),
}
BODIES = (IssueBody, CheckBody, ResendBody, SearchBody)
WRONG = ("", "x" * 100, "é", "?", 0, -1, 0.5, True, [], {}, "ZZ", "300.0.0.1")


def is_styled(detail):
    """Tell whether a text is one or more sentences, each with a capital and a full stop."""
    starts = [*re.split(r"\. ", detail)[1:]]
    return SENTENCES.fullmatch(detail) is not None and all(start[0].isupper() for start in starts)


@pytest.mark.parametrize("detail", ["at most 5.", "At most 5", "Send it; wait.", "Send it. then wait.", "", "X.."])
def test_the_style_can_fail(detail):
    """A text without a capital, a full stop or with a semicolon is no sentence."""
    assert not is_styled(detail)


def test_every_detail_of_the_catalogue_is_a_sentence():
    """Each problem has a detail in sentences, but for those that say their own, and the 500."""
    assert {code for code, kind in CATALOGUE.items() if kind.detail is None} == WITHOUT
    details = [*filter(None, (kind.detail for kind in CATALOGUE.values())), *EVERY_ENDING]
    assert [detail for detail in details if not is_styled(detail)] == []


def test_every_detail_in_the_document_is_a_sentence(operations):
    """Each problem that an operation documents, and each wrong field in it, says so in sentences."""
    details = {}
    for method, path, operation in operations:
        for response in operation["responses"].values():
            for shown in response.get("content", {}).get("application/problem+json", {}).get("examples", {}).values():
                problem = shown["value"]
                told = [problem.get("detail"), *(error["detail"] for error in problem.get("errors", ()))]
                details |= dict.fromkeys(filter(None, told), (method, path))
    assert len(details) > 20
    assert {detail: at for detail, at in details.items() if not is_styled(detail)} == {}


async def test_every_refused_field_gets_a_sentence(running, expect):
    """Whatever is wrong with a field of any body, its error and the problem are sentences."""
    one = f"/v1/verifications/ve_{'0' * 32}"
    paths = ("/v1/verifications", f"{one}/verify", f"{one}/resend", "/v1/verifications/search")
    details = set()
    for path, model in zip(paths, BODIES, strict=True):
        bodies = [{}, [], None, {"unknown": 1}, *({name: wrong} for name in model.model_fields for wrong in WRONG)]
        if model is IssueBody:
            bodies.append({"to": "+14155550123", "web_origin": "a.example", "app_hash": "FA+9qCX9VSu"})
        for body in bodies:
            response = await running.call("POST", path, body)
            if response[0] == 422 and response[1]["code"] == "invalid_request":
                problem = expect(response, 422, "invalid_request")
                details |= {problem["detail"], *(error["detail"] for error in problem["errors"])}
    assert len(details) > 15
    assert [detail for detail in sorted(details) if not is_styled(detail)] == []
    for told in (
        "This field is required.",
        "Both web_origin and app_hash",
        "This is not a host",
        "This is not a language tag",
    ):
        assert [detail for detail in details if detail.startswith(told)], told


NUMBERS = [
    "",
    "0415",
    "+999 1234567",
    "+1 415 555",
    "+55 11 91234567",
    "+55 11 81234567",
    "+225 01234567",
    "+229 97123456",
]


def test_every_refused_number_gets_a_sentence():
    """Each way in which a number is refused is told in sentences."""
    told = set()
    for number in NUMBERS:
        try:
            canonical_number(number)
        except InvalidNumber as invalid:
            told.add(str(invalid))
    assert len(told) >= 5
    assert [sentence for sentence in told if not is_styled(sentence)] == []


def test_an_unfit_channel_is_told_in_a_sentence():
    """A channel that cannot carry an action is named in a sentence, also where no route can cause it yet."""
    assert all(is_styled(str(ChannelUnfit(channel, action))) for channel in CHANNELS for action in Action)
    assert set(CHANNELS) == set(Channel)
