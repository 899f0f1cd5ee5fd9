"""Reads TwiML, the XML by which a webhook says what is to happen: verbs with attributes, a text and nested verbs.

https://www.twilio.com/docs/messaging/twiml and https://www.twilio.com/docs/voice/twiml. `inbound` and `calls` know what
the verbs mean. Errors have Twilio's codes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET  # nosec B405

from service.sandbox.webhooks import WebhookResponse

XML_TYPES = frozenset({"text/xml", "application/xml", "text/html"})
_LIMIT = 65_536  # bytes
_APART = frozenset({"break", "p", "s"})  # of SSML


class TwimlError(Exception):
    """A response that says nothing that Twilio understands."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Verb:
    """One verb, such as Say, with its text in one line."""

    name: str
    attributes: Mapping[str, str]
    text: str
    nested: tuple["Verb", ...]


def read_twiml(response: WebhookResponse) -> tuple[Verb, ...]:
    """Return the verbs of a document in order; raise TwimlError if the webhook failed, or sent something else."""
    if not response.is_ok:
        raise TwimlError(11200)  # HTTP retrieval failure
    if len(response.body) > _LIMIT:
        raise TwimlError(11750)  # response body too large
    if response.content_type not in XML_TYPES:
        raise TwimlError(12300)  # invalid Content-Type
    return parse_twiml(response.body)


def parse_twiml(document: bytes) -> tuple[Verb, ...]:
    """Return the verbs of a document in order; raise TwimlError if it is none."""
    if b"<!" in document.replace(b"<!--", b""):
        raise TwimlError(12100)  # entities and their like: nothing that TwiML needs, and parsers may expand them
    try:  # without entities there is nothing to expand
        root = ET.fromstring(document)  # noqa: S314 # nosec B314
    except ET.ParseError:
        raise TwimlError(12100) from None  # document parse failure
    if root.tag != "Response":
        raise TwimlError(12102)  # another root
    return _verbs(root)


def _verbs(parent: ET.Element) -> tuple[Verb, ...]:
    return tuple(
        Verb(name=each.tag, attributes=each.attrib, text=" ".join("".join(_texts(each)).split()), nested=_verbs(each))
        for each in parent
    )


def _texts(element: ET.Element) -> Iterator[str]:
    """Return the text of an element in parts; where speech breaks, a blank."""
    yield element.text or ""
    for each in element:
        if each.tag in _APART:
            yield " "
        yield from _texts(each)
        if each.tag in _APART:
            yield " "
        yield each.tail or ""
