"""Twilio's callback signature: the published vectors, known pitfalls, and invalid requests."""

import base64
import hashlib
import hmac

import pytest
from twilio.request_validator import RequestValidator

from service.providers.twilio.signature import TwilioSignature

URL = "https://otp.example.com/twilio/status?tenant=a"
FIELDS = {"MessageSid": ["SM" + "0" * 32], "MessageStatus": ["delivered"], "ErrorCode": [""]}
VECTOR = "R2AhXUk63wctbkoDMI88sTCCgkI="  # with the token 12345


def sign(token, text):
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def test_vector():
    """A signature by Twilio's own algorithm, with an empty field, is genuine."""
    assert TwilioSignature(["12345"]).is_genuine(URL, FIELDS, VECTOR)


def test_documented_vector():
    """The example of Twilio's security page is genuine."""
    fields = {
        "CallSid": ["CA1234567890ABCDE"],
        "Caller": ["+14158675309"],
        "Digits": ["1234"],
        "From": ["+14158675309"],
        "To": ["+18005551212"],
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert TwilioSignature(["12345"]).is_genuine(url, fields, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")


@pytest.mark.parametrize(
    ("url", "fields"),
    [
        (URL.replace("https", "http"), FIELDS),
        (URL.replace("tenant=a", "tenant=b"), FIELDS),
        (URL + "&", FIELDS),
        (URL, {**FIELDS, "MessageStatus": ["failed"]}),
        (URL, {**FIELDS, "Extra": ["1"]}),
        (URL, {name: values for name, values in FIELDS.items() if name != "ErrorCode"} | {"MessageSid": [""]}),
        (URL, {}),
    ],
)
def test_any_change_invalidates_the_signature(url, fields):
    """A signature is valid for exactly one scheme, URL, query and set of fields."""
    assert not TwilioSignature(["12345"]).is_genuine(url, fields, VECTOR)


def test_two_tokens_in_rotation():
    """During a rotation of the Auth Token signatures by both tokens are genuine; those by any other are not."""
    old, new = (sign(token, "https://otp.example.com/aB1") for token in ("old", "new"))
    both = TwilioSignature(["new", "old"])
    only_new = TwilioSignature(["new"])
    for signature, by_both, by_new in ((old, True, False), (new, True, True)):
        assert both.is_genuine("https://otp.example.com/a", {"B": ["1"]}, signature) is by_both
        assert only_new.is_genuine("https://otp.example.com/a", {"B": ["1"]}, signature) is by_new


@pytest.mark.parametrize("signed", ["https://otp.example.com/a", "https://otp.example.com:443/a"])
@pytest.mark.parametrize("asked", ["https://otp.example.com/a", "https://otp.example.com:443/a"])
def test_default_port(signed, asked):
    """Twilio signs the URL sometimes with, sometimes without the default port; both are genuine."""
    assert TwilioSignature(["t"]).is_genuine(asked, {"B": ["1"]}, sign("t", signed + "B1"))


def test_repeated_field():
    """A field that occurs more than once is signed with each of its values."""
    fields = {"MediaUrl": ["b", "a"], "A": ["1"]}
    signature = sign("t", "https://otp.example.com/xA1MediaUrlaMediaUrlb")
    assert TwilioSignature(["t"]).is_genuine("https://otp.example.com/x", fields, signature)
    assert not TwilioSignature(["t"]).is_genuine("https://otp.example.com/x", {**fields, "MediaUrl": ["a"]}, signature)


def test_unicode_fields():
    """Fields in any script are signed as UTF-8."""
    signature = sign("t", "https://otp.example.com/xBody認証コード 👋")
    assert TwilioSignature(["t"]).is_genuine("https://otp.example.com/x", {"Body": ["認証コード 👋"]}, signature)


@pytest.mark.parametrize(
    "garbage",
    ["", " ", VECTOR[:-1], VECTOR + "=", " " + VECTOR, VECTOR + "\n", VECTOR.lower(), "%%%", "鍵", "\ud800", "\x00"],
)
def test_garbage_signature(garbage):
    """A missing, trimmed, padded, foreign or malformed signature is refused without an exception."""
    assert TwilioSignature(["12345"]).is_genuine(URL, FIELDS, garbage) is False


@pytest.mark.parametrize("url", ["", "::", "https://h:port/", "https://[::1/", "https://h/\ud800"])
@pytest.mark.parametrize("fields", [FIELDS, {"\udcff": ["\udcff"]}, {"A": []}])
def test_garbage_url_and_fields(url, fields):
    """A URL or a form that cannot be signed is refused without an exception."""
    assert TwilioSignature(["12345"]).is_genuine(url, fields, VECTOR) is False


@pytest.mark.parametrize("tokens", [[], [""]])
def test_no_token(tokens):
    """Without an Auth Token no signature is genuine, not even one by an empty token."""
    signature = base64.b64encode(hmac.new(b"", b"https://otp.example.com/aB1", hashlib.sha1).digest()).decode()
    assert not TwilioSignature(tokens).is_genuine("https://otp.example.com/a", {"B": ["1"]}, signature)


def test_the_repr_hides_the_tokens():
    """The repr of the object contains no token."""
    assert "tok3n" not in repr(TwilioSignature(["tok3n"]))


# --- SharedKeys -----------------------------------------------------------------------------------


SETTINGS = "key=webhooks_sharedkey_01k4,algorithm=HMAC_SHA256"


def shared(secret, algorithm="sha256"):
    text = URL + "ErrorCode" + "MessageSid" + FIELDS["MessageSid"][0] + "MessageStatusdelivered"
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), algorithm).digest()).decode()


def test_the_library_computes_the_same_signature():
    """Our vector of a SharedKey equals the signature by Twilio's own library for the same key, URL and fields."""
    plain = {name: values[0] for name, values in FIELDS.items()}
    assert RequestValidator("k1").compute_signature(URL, plain, "HMAC_SHA256") == shared("k1")


@pytest.mark.parametrize("secret", ["new", "old"])
def test_shared_keys_in_rotation(secret):
    """A signature by any configured SharedKey is genuine, with SHA-256 or SHA-1, in any order of the parameters."""
    signature = TwilioSignature(["token"], ["new", "old"])
    assert signature.is_genuine(URL, FIELDS, shared(secret), SETTINGS)
    assert signature.is_genuine(URL, FIELDS, shared(secret), "algorithm=HMAC_SHA256, key=other")
    assert signature.is_genuine(URL, FIELDS, shared(secret, "sha1"), "key=k,algorithm=HMAC_SHA1")


@pytest.mark.parametrize(
    ("secret", "settings"),
    [
        ("third", SETTINGS),
        ("token", SETTINGS),  # the Auth Token is not a SharedKey
        ("new", ""),  # and a SharedKey is not an Auth Token
        ("new", "key=k,algorithm=HMAC_SHA512"),
        ("new", "key=k,algorithm=hmac_sha256\x00"),
        ("new", "key=k"),  # a missing algorithm means SHA-1
        ("new", "," * 5000),
        ("new", "\ud800"),
    ],
)
def test_a_signature_by_no_shared_key_is_refused(secret, settings):
    """Signatures with unknown keys or algorithms, or a key of the other kind, are refused without an exception."""
    assert TwilioSignature(["token"], ["new", "old"]).is_genuine(URL, FIELDS, shared(secret), settings) is False


def test_no_shared_key():
    """Without a SharedKey no signature with one is genuine, not even by an empty key or the Auth Token."""
    for keys in ([], [""]):
        signature = TwilioSignature(["token"], keys)
        assert signature.has_shared_keys is False
        for secret in ("", "token"):
            assert not signature.is_genuine(URL, FIELDS, shared(secret), SETTINGS)
