"""The promises of `config.settings`: documents in step, and contradictions refused without showing a value."""

import base64
import random
import re
import secrets
from pathlib import Path

import pytest

from service.config.settings import (
    Settings,
    SettingsRefused,
    isolated_settings,
    load_settings,
    missing_secrets,
    missing_to_serve,
)
from service.core.limits import UNLIMITED, Limits
from service.core.own_texts import NO_OWN_TEXTS
from service.core.phone import LineType, NumberPolicy

ROOT = Path(__file__).parent.parent
NAMES = {name.upper() for name in Settings.model_fields}
SID = "AC" + "5a" * 16
TEMPLATE = "HX" + "5a" * 16
EMPTY_WHEN_UNSET = {"", None, (), NO_OWN_TEXTS, UNLIMITED}


def settings(**values):
    """Load settings from these values alone."""
    return load_settings(_env_file=None, **values)


def complete(**values):
    """Load a complete set of settings, with which the service can serve."""
    return settings(
        **{
            "twilio_account_sid": SID,
            "twilio_auth_token": secrets.token_hex(16),
            "twilio_from": "+14155550100",
            "otp_secret_keys": secrets.token_urlsafe(32),
            "otp_index_key": secrets.token_urlsafe(32),
            **values,
        }
    )


def refused(**values):
    """Return the message with which these settings are refused."""
    with pytest.raises(SettingsRefused) as refusal:
        settings(**values)
    return str(refusal.value)


def example():
    """Parse `.env.example`: name and value of each line, commented-out settings included."""
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    found = [match for line in lines if (match := re.fullmatch(r"#?([A-Z][A-Z0-9_]+)=(.*)", line))]
    return {match[1]: match[2] for match in found}


def documented():
    """Parse the tables of docs/settings.md: name and default of each row."""
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")
    rows = re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \| (?:`([^`]*)`)? ?\|", text, re.MULTILINE)
    assert len(dict(rows)) == len(rows)
    return dict(rows)


@pytest.mark.parametrize("read", [example, documented], ids=[".env.example", "docs/settings.md"])
def test_every_setting_is_listed_with_its_default(read, monkeypatch):
    """`.env.example` and docs/settings.md list exactly the settings, each once, with their defaults."""
    listed = read()
    assert set(listed) == NAMES
    for name, value in listed.items():
        if value:
            monkeypatch.setenv(name, value)
        field = name.lower()
        default = getattr(settings(), field)
        monkeypatch.delenv(name, raising=False)
        assert default == getattr(settings(), field), name
        assert bool(value) or getattr(settings(), field) in EMPTY_WHEN_UNSET, f"{name} has a default to show"


def test_the_example_is_accepted_as_it_is(tmp_path):
    """A copy of `.env.example` is a valid `.env` with the default values."""
    copy = tmp_path / ".env"
    copy.write_text((ROOT / ".env.example").read_text("utf-8"), "utf-8")
    assert load_settings(_env_file=copy) == settings()


def test_the_environment_is_read(monkeypatch):
    """Every form is read: spans, lists, limits, switches and whole numbers."""
    for name, value in {
        "OTP_CODE_TTL": "90s", "OTP_LATE_WINDOW": "0", "OTP_COUNTRIES": " US, DE ,", "OTP_LIMIT_NUMBER": "1/1m, 9/1d",
        "OTP_WORKER": "false", "OTP_MAX_SENDS": "7", "TWILIO_AUTH_TOKEN": "new,old", "OTP_CORS_ORIGINS": "*",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    got = settings()
    assert (got.otp_code_ttl, got.otp_late_window, got.otp_countries) == (90, 0, ("US", "DE"))
    assert got.otp_limit_number == Limits(((1, 60_000), (9, 86_400_000)))
    assert (got.otp_worker, got.otp_max_sends, got.otp_cors_origins) == (False, 7, ("*",))
    assert [token.get_secret_value() for token in got.twilio_auth_token] == ["new", "old"]


def test_an_empty_value_switches_a_setting_off(monkeypatch):
    """An empty limit is no limit, an empty list of countries allows all, an empty address or secret is not set."""
    for name in NAMES - {"OTP_BRAND", "OTP_LOCALE", "OTP_DATA_DIR", "OTP_LOG_LEVEL"}:
        kind = Settings.model_fields[name.lower()].annotation
        if kind not in (int, bool):
            monkeypatch.setenv(name, "")
    got = settings()
    assert {got.otp_limit_number, got.otp_limit_day, got.otp_limit_peer, got.otp_limit_ip} == {UNLIMITED}
    assert (got.otp_countries, got.redis_url, got.otp_index_key, got.otp_risk_check) == ((), None, None, None)
    assert (got.otp_secret_keys, got.twilio_auth_token, got.otp_public_url) == ((), (), None)


@pytest.mark.parametrize(("tag", "locale"), [("de", "de"), (" de-AT ", "de"), ("FR_ca", "fr")])
def test_the_default_language_is_a_language_tag(tag, locale):
    """OTP_LOCALE is read like the `locale` of a request: the nearest language that there are texts in."""
    assert settings(otp_locale=tag).otp_locale == locale


@pytest.mark.parametrize("tag", ["tlh", "", "German", "*"])
def test_a_default_language_without_texts_is_refused(tag):
    """OTP_LOCALE in a language that there are no texts in stops the start, and the sentence lists the languages."""
    with pytest.raises(SettingsRefused, match=r"^OTP_LOCALE: there are no texts in this language; write one of en, "):
        settings(otp_locale=tag)


def test_own_texts_are_read_from_their_file(tmp_path):
    """OTP_TEXTS names a TOML file, with a byte order mark or without; its texts are checked with the brand."""
    path = tmp_path / "texts.toml"
    path.write_text('\ufeff[country.IN]\ncode = "{code} is your OTP."\n', "utf-8")
    [text] = settings(otp_texts=str(path)).otp_texts.texts.values()
    assert text.text == "{code} is your OTP."


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"^OTP_TEXTS: the file cannot be read: No such file or directory\.$"),
        (b"\xff", r"^OTP_TEXTS: the file is not UTF-8\.$"),
        (b"[locale", r"^OTP_TEXTS: the file is not TOML: "),
        (b"x = 1\n" + b"#" * 1_000_000, r"^OTP_TEXTS: the file has more than 1,000,000 bytes\.$"),
        (b'[locale.de]\ncode = "{brand}"', r"^OTP_TEXTS: \[locale\.de\] code: it lacks {code}\.$"),
        (b'[locale.de]\ncode = "%s {code}"' % (b"x" * 160), r"^OTP_TEXTS: \[locale\.de\] code: it takes 2 segments"),
    ],
)
def test_own_texts_that_cannot_be_used_stop_the_start(tmp_path, content, sentence):
    """A file that cannot be read, or a text that cannot be sent, is refused in one sentence that names it."""
    path = tmp_path / "texts.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsRefused, match=sentence):
        settings(otp_texts=str(path))


@pytest.mark.parametrize(("span", "seconds"), [("30", 30), ("30s", 30), ("10m", 600), (" 5m ", 300), (60, 60)])
def test_a_span_has_a_unit(span, seconds):
    """A span is a whole number with s, m, h or d; without a unit it is in seconds."""
    assert settings(otp_code_ttl=span).otp_code_ttl == seconds


@pytest.mark.parametrize(
    "span", ["", "m", "10 m", "1.5m", "-1", "10min", "1w", "\uff11\uff10m", "10m10s", "29s", "601", "1h"]
)
def test_an_invalid_span_is_refused(span):
    """Other forms, non-ASCII digits, and a code TTL under 30 s or over 10 min stop the start."""
    assert refused(otp_code_ttl=span).startswith("OTP_CODE_TTL: ")


@pytest.mark.parametrize(
    "values",
    [
        {"otp_code_length": 3}, {"otp_code_length": 9}, {"otp_max_attempts": 0}, {"otp_max_attempts": 11},
        {"otp_max_sends": 0}, {"otp_late_window": "25h"}, {"otp_countries": "us"}, {"otp_countries": "USA"},
        {"otp_countries": "US;DE"}, {"otp_limit_number": "5"}, {"otp_limit_number": "7/13"}, {"otp_limit_day": "0/1d"},
        {"otp_limit_ip": "5/10m,5/600s"}, {"otp_brand": ""}, {"otp_brand": "x" * 31}, {"otp_brand": "日本"},
        {"otp_brand": "a\nb"}, {"otp_trusted_proxies": -1}, {"otp_trusted_proxies": 11}, {"otp_max_in_flight": 1},
        {"otp_trusted_proxies": "10.0.0.0/8"}, {"otp_log_level": "loud"}, {"otp_risk_check": "maybe"},
        {"otp_content_retention": "keep"}, {"otp_address_retention": "discard"}, {"otp_worker": "perhaps"},
        {"otp_public_url": "login.acme.test"}, {"otp_public_url": "ftp://login.acme.test"},
        {"otp_public_url": "https://login.acme.test/?a=1"}, {"otp_public_url": "https:///path"},
        {"twilio_base_url": "http://twilio.example.com"}, {"twilio_base_url": "http://127.0.0.1.example.com"},
        {"twilio_base_url": "http://10.0.0.1"}, {"twilio_base_url": "ftp://127.0.0.1"}, {"twilio_base_url": "https://"},
        {"twilio_base_url": "http://2130706433"}, {"twilio_base_url": "http://localhost@evil.example.com"},
        {"twilio_base_url": "127.0.0.1:8001"},
    ],
)  # fmt: skip
def test_an_invalid_value_is_refused_without_showing_it(values):
    """An invalid value stops the start with the setting's name and the valid form, and is never shown."""
    [(name, value)] = values.items()
    sentence = refused(**values)
    assert sentence.startswith(f"{name.upper()}: ")
    assert sentence.endswith(".")
    assert len(str(value)) < 4 or str(value) not in sentence


@pytest.mark.parametrize("proxies", ["*", " * ", "127.0.0.1", "10.0.0.0/8", "all", "", "1.5", "\uff11"])
def test_trusted_proxies_must_be_a_number(proxies):
    """R15: `*`, an address or a network stops the start: a client taken for a proxy could choose its own address."""
    assert "every caller could then choose its own address" in refused(otp_trusted_proxies=proxies)
    assert settings(otp_trusted_proxies=" 2 ").otp_trusted_proxies == 2


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_secret_in_the_wrong_place_is_not_shown(name):
    """A token pasted into another setting never appears in a message, whether it is accepted or refused."""
    secret = "9f8e7d6c5b4a39281706f5e4d3c2b1a0"
    message = ""
    try:
        settings(**{name.lower(): secret})
    except SettingsRefused as refusal:
        message = str(refusal)
    assert secret not in message


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"twilio_api_key": "SK" + "5a" * 16}, "TWILIO_API_KEY and TWILIO_API_SECRET belong together"),
        ({"twilio_api_secret": "s"}, "TWILIO_API_KEY and TWILIO_API_SECRET belong together"),
        (
            {"twilio_messaging_service_sid": "MG" + "5a" * 16, "twilio_from": "+14155550100"},
            "set TWILIO_MESSAGING_SERVICE_SID or TWILIO_FROM, not both",
        ),
        (
            {"twilio_whatsapp_from": "+14155550100"},
            "TWILIO_WHATSAPP_FROM and TWILIO_WHATSAPP_TEMPLATES belong",
        ),
        ({"twilio_whatsapp_templates": f"en={TEMPLATE}"}, "TWILIO_WHATSAPP_FROM and TWILIO_WHATSAPP_TEMPLATES belong"),
        (
            {"twilio_whatsapp_from": "+14155550100", "twilio_whatsapp_templates": f"de={TEMPLATE}"},
            "TWILIO_WHATSAPP_TEMPLATES lacks a template for OTP_LOCALE (en)",
        ),
        ({"otp_cors_origins": "*,https://app.example"}, "OTP_CORS_ORIGINS is * or a list of origins, not both"),
    ],
)
def test_a_contradiction_is_refused(values, sentence):
    """Two settings that exclude or need each other stop the start with a message that names both."""
    assert sentence in refused(**values)


def test_all_errors_are_reported_at_once():
    """Each error has its own line, so that all can be fixed in one go."""
    lines = refused(otp_code_length=99, otp_code_ttl="soon", otp_countries="nowhere").splitlines()
    assert [line.partition(":")[0] for line in lines] == ["OTP_CODE_LENGTH", "OTP_CODE_TTL", "OTP_COUNTRIES"]


@pytest.mark.parametrize(
    "url",
    ["https://twilio.example.com/", "http://127.0.0.1:8001", "http://localhost:8001/sandbox/", "http://[::1]:8001"],
)
def test_credentials_require_tls(url):
    """`TWILIO_BASE_URL` is https, or http on loopback; a trailing slash changes nothing."""
    assert settings(twilio_base_url=url).twilio_base_url == url.rstrip("/")


def test_nothing_is_missing_when_all_is_set():
    """With account, credentials, sender and both keys nothing is missing; either kind of credentials will do."""
    assert missing_to_serve(complete()) == []
    by_key = complete(twilio_auth_token="", twilio_api_key="SK" + "5a" * 16, twilio_api_secret="s")
    assert missing_to_serve(by_key) == []
    assert missing_to_serve(complete(twilio_from="", twilio_messaging_service_sid="MG" + "5a" * 16)) == []


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"twilio_account_sid": ""}, "TWILIO_ACCOUNT_SID"),
        ({"twilio_auth_token": ""}, "TWILIO_AUTH_TOKEN"),
        ({"twilio_from": ""}, "TWILIO_FROM"),
        ({"otp_secret_keys": ""}, "OTP_SECRET_KEYS"),
        ({"otp_index_key": ""}, "OTP_INDEX_KEY"),
        ({"twilio_voice_from": "+14155550100"}, "OTP_PUBLIC_URL"),
    ],
)
def test_a_missing_setting_is_reported_with_the_fix(values, named):
    """Each missing value is one sentence that names the setting."""
    [sentence] = missing_to_serve(complete(**values))
    assert named in sentence
    assert sentence.endswith((".", "openssl rand -base64 32"))


def test_callbacks_need_the_auth_token():
    """API keys cannot validate callbacks, so `OTP_PUBLIC_URL` requires the Auth Token."""
    by_key = {"twilio_api_key": "SK" + "5a" * 16, "twilio_api_secret": "s", "otp_public_url": "https://a.example"}
    [sentence] = missing_to_serve(complete(twilio_auth_token="", **by_key))
    assert sentence.startswith("Set TWILIO_AUTH_TOKEN too, or TWILIO_WEBHOOK_KEYS")
    assert missing_to_serve(complete(**by_key)) == []
    assert missing_to_serve(complete(twilio_auth_token="", twilio_webhook_keys="shared", **by_key)) == []


@pytest.mark.parametrize(
    "sender",
    ["+14155550100", "+4915112345678", "12345", "32665", "Rooster", "Rooster 2", "A", "3M Shop", "A-B+C_D & E"],
)
def test_every_kind_of_sender_is_accepted(sender):
    """An E.164 number, a short code and an alphanumeric sender ID are valid senders."""
    assert missing_to_serve(complete(twilio_from=sender)) == []


@pytest.mark.parametrize(
    "sender",
    ["4155550100x" * 2, "+0123456789", "+1415", "+1 415 555 0100", "14155550100", "12", "Rooster-Shop", "Käse",
     "twelve chars", "<number>", "MG" + "5a" * 16, "+1415555010\uff10"],
)  # fmt: skip
def test_an_invalid_sender_is_refused(sender):
    """A sender that Twilio would refuse for every message is refused at the start, without showing the value."""
    sentence = refused(twilio_from=sender)
    assert sentence.startswith("TWILIO_FROM: write an E.164 number")
    assert sender not in sentence


@pytest.mark.parametrize(
    ("sender", "read"),
    [
        (" whatsapp:+14155550100 ", "+14155550100"),
        ("+14155550100", "+14155550100"),
        ("MG" + "5a" * 16, "MG" + "5a" * 16),
    ],
)
def test_a_whatsapp_sender_and_its_templates_are_read(sender, read):
    """A sender on WhatsApp is a number, as Twilio writes it or plain, or a Messaging Service."""
    got = settings(twilio_whatsapp_from=sender, twilio_whatsapp_templates=f" en = {TEMPLATE}, pt-BR={TEMPLATE},")
    assert got.twilio_whatsapp_from == read
    assert got.twilio_whatsapp_templates == (("en", TEMPLATE), ("pt-BR", TEMPLATE))


def test_isolated_settings_ignore_the_environment(monkeypatch, tmp_path):
    """Isolated settings ignore the environment and any `.env` in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("OTP_BRAND=Mallory\nOTP_MAX_SENDS=7\nOTP_CODE_LENGTH=99\n", "utf-8")
    for name in NAMES:
        monkeypatch.setenv(name, "hostile")
    assert isolated_settings().model_dump() == Settings.model_construct().model_dump()
    assert isolated_settings(otp_countries="FR", otp_code_ttl="90s").otp_countries == ("FR",)


def test_isolated_settings_are_validated():
    """Isolated settings pass the same validation, and an unknown name is refused."""
    for wrong in ({"otp_code_length": 99}, {"twilio_api_key": "SK1"}, {"twilio_base_url": "http://twilio.invalid"}):
        with pytest.raises(ValueError, match="validation error"):
            isolated_settings(**wrong)
    values = {"otp_brand": "Rooster", "otp_limit_number": "1/1m"}
    assert isolated_settings(**values).model_dump() == settings(**values).model_dump()
    assert not hasattr(isolated_settings(otp_nothing="x"), "otp_nothing")


def test_random_keys_are_not_mistaken_for_placeholders():
    """Of 10,000 base64 keys and 10,000 URL-safe ones, none is refused as a placeholder."""
    draw = random.Random(2104)
    writers = (base64.b64encode, base64.urlsafe_b64encode)
    keys = [write(draw.randbytes(32)).decode() for write in writers for _ in range(10_000)]
    assert len(set(keys)) == 20_000
    assert missing_secrets(settings(otp_secret_keys=",".join(keys[1:]), otp_index_key=keys[0])) == []


def test_the_index_key_must_not_be_a_secret_key():
    """An index key that is also a secret key is refused: the next rotation would move every number."""
    key = secrets.token_urlsafe(32)
    assert refused(otp_secret_keys=key, otp_index_key=key).startswith("OTP_INDEX_KEY must differ from OTP_SECRET_KEYS")


def test_secrets_are_not_shown():
    """Printed settings contain no token, key or password, including the password in the Redis URL."""
    hidden = [secrets.token_urlsafe(32) for _ in range(5)]
    got = settings(
        twilio_auth_token=hidden[0], twilio_api_key="SK" + "5a" * 16, twilio_api_secret=hidden[1],
        otp_secret_keys=hidden[2], otp_index_key=hidden[3], redis_url=f"redis://user:{hidden[4]}@localhost",
    )  # fmt: skip
    for text in (repr(got), str(got)):
        assert not [secret for secret in hidden if secret in text]


def test_settings_are_immutable():
    """Settings are immutable: no field can be assigned."""
    with pytest.raises(ValueError, match="frozen"):
        settings().otp_brand = "Other"


TEST_NUMBERS = "+14155550100:493027, +442079460000:1234"


def test_test_numbers_with_the_real_twilio_need_a_second_setting():
    """Fixed codes with the real Twilio require a second setting; with a simulator on loopback they do not."""
    for real in ({}, {"twilio_base_url": "https://api.twilio.example"}):
        assert "OTP_ALLOW_TEST_NUMBERS=true" in refused(otp_test_numbers=TEST_NUMBERS, **real)
        assert settings(otp_test_numbers=TEST_NUMBERS, otp_allow_test_numbers=True, **real).otp_test_numbers
    got = settings(otp_test_numbers=TEST_NUMBERS, twilio_base_url="http://127.0.0.1:8001")
    assert got.otp_test_numbers == (("+14155550100", "493027"), ("+442079460000", "1234"))
    assert settings(otp_allow_test_numbers=True).otp_test_numbers == ()


@pytest.mark.parametrize(
    "text",
    [
        "+14155550100", "+14155550100:", "4155550100:493027", "+14155550100:493", "+14155550100:493027018",
        "+14155550100:49302a", "+14155550100:493027:1", "+14155550100:\uff14\uff19\uff13\uff10",
        "+14155550100:493027,+14155550100:111111", "+14155550100 493027", "+1415x5550100:493027",
    ],
)  # fmt: skip
def test_an_invalid_test_number_is_refused_without_showing_it(text):
    """An invalid number, a code that has not 4 to 8 digits, or a duplicate is refused without showing any of it."""
    sentence = refused(otp_test_numbers=text, otp_allow_test_numbers=True)
    assert sentence.startswith("OTP_TEST_NUMBERS: ")
    assert not {"4155550100", "493027", "111111"} & set(re.findall(r"\d+", sentence.split("such as")[0]))


@pytest.mark.parametrize(
    ("text", "countries", "reason"),
    [
        ("+447911123456:493027,+44 07911 123456:1234", "", "contains a number twice"),
        ("+15558675310:493027", "", "no code can be issued for: This does not look like"),
        ("+19002345678:493027", "", "no code can be issued for: Messages are not sent to premium"),
        (TEST_NUMBERS, "US", "no code can be issued for: codes are not sent to this number's country"),
        ("+4915112345678:493027", "US,GB", "no code can be issued for: codes are not sent to this number's country"),
    ],
)
def test_a_test_number_that_an_issue_would_refuse_is_refused_at_the_start(text, countries, reason):
    """A duplicate, an unknown number or one outside OTP_COUNTRIES would never work, so it is refused."""
    sentence = refused(otp_test_numbers=text, otp_countries=countries, otp_allow_test_numbers=True)
    assert "OTP_TEST_NUMBERS" in sentence
    assert reason in sentence
    assert not [part for part in re.findall(r"\d{4,}", text) if part in sentence.split("such as")[0]]


def test_test_numbers_are_normalised():
    """Test numbers are normalised like the numbers of requests, however they are written."""
    got = settings(
        otp_test_numbers="+1 (415) 555-0100:493027,+5215512345678:1234", otp_countries="", otp_allow_test_numbers=True
    )
    assert got.otp_test_numbers == (("+14155550100", "493027"), ("+525512345678", "1234"))


def test_line_types_and_extra_prefixes_are_read_as_lists():
    """Both settings are lists; by default there is no extra prefix and every line type is allowed."""
    assert settings().numbers == NumberPolicy(frozenset(settings().otp_countries))
    got = settings(otp_line_types="mobile, landline", otp_extra_prefixes="+1 621:US, +1732 : US", otp_countries="US")
    assert got.numbers == NumberPolicy(
        frozenset({"US"}), frozenset({LineType.MOBILE, LineType.LANDLINE}), {"+1621": "US", "+1732": "US"}
    )


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("otp_line_types", "mobile,pager", "mobile,landline,voip,toll_free"),
        ("otp_extra_prefixes", "+1621", "such as +1621:US"),
        ("otp_extra_prefixes", "+1:US", "more digits"),
        ("otp_extra_prefixes", "+1868:US", "numbers of TT"),
        ("otp_extra_prefixes", "+1621:US,+1622:XX", "no region"),
        ("otp_extra_prefixes", "+1621:US,+1621:CA", "contains +1621 twice"),
    ],
)
def test_an_invalid_line_type_or_prefix_is_refused(name, text, reason):
    """A line type or prefix that no number could match, or that belongs to another region, stops the start."""
    sentence = refused(**{name: text})
    assert sentence.startswith(name.upper())
    assert reason in sentence


def test_fixed_codes_are_not_shown():
    """Printed settings contain neither test numbers nor their codes."""
    shown = repr(settings(otp_test_numbers=TEST_NUMBERS, otp_allow_test_numbers=True))
    assert not [text for text in ("4155550100", "493027", "1234") if text in shown]
