"""The promises of `config.forms` and `config.web_addresses`: clear values are accepted, unusable ones refused."""

import re
import secrets
from pathlib import Path

import pytest

from service.config.policies import twilio_account
from service.config.settings import SETTINGS, SettingsRefused, load_settings
from service.config.web_addresses import is_for_development

AC = "AC" + "5a" * 16
KEY = "4f9c1d7e" * 5

UNDERSTOOD = [
    # Addresses: normalised to the one spelling that is compared or signed.
    ("otp_public_url", " https://otp.example.com/ ", "https://otp.example.com"),
    ("otp_public_url", "HTTPS://OTP.Example.COM:443/Base/", "https://otp.example.com/Base"),
    ("otp_public_url", "https://otp.example.com?", None),
    ("otp_public_url", "https://bücher.example", "https://xn--bcher-kva.example"),
    ("otp_public_url", "https://Straße.example:8443", "https://xn--strae-oqa.example:8443"),
    ("otp_public_url", "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
    ("otp_public_url", "https://[2001:DB8::0:1]:443/", "https://[2001:db8::1]"),
    ("otp_public_url", "https://otp.example.com\r\n", "https://otp.example.com"),
    ("otp_public_url", "https://ot\rp.example.com", None),
    ("otp_public_url", "https://otp.example.com /", None),
    ("otp_public_url", "https://otp.example.com:99999", None),
    ("otp_public_url", "https://otp.example.com:0", None),
    ("otp_public_url", "https://otp.example.com:", None),
    ("otp_public_url", "https://https://otp.example.com", None),
    ("otp_public_url", "https://user:s3cret@otp.example.com", None),
    ("otp_public_url", "https://otp_service.example.com", None),
    ("otp_public_url", "https://otp..example.com", None),
    ("otp_public_url", "https://otp.example.com.", None),
    ("otp_public_url", "https://-otp.example.com", None),
    ("otp_public_url", "https://otp.example.com/a//b", None),
    ("otp_public_url", "https://otp.example.com/a/../b", None),
    ("otp_public_url", "https://otp.example.com/ä", None),
    ("otp_public_url", "https://otp.example.com\\@evil.example", None),
    ("otp_public_url", "https://999.1.1.1", None),
    ("otp_public_url", "https://[::1", None),
    ("otp_public_url", "https://[fe80::1%25eth0]", None),
    ("otp_public_url", "https://\u2488.example", None),
    ("otp_public_url", "otp.example.com", None),
    ("otp_public_url", "capacitor://otp.example.com", None),
    ("otp_cors_origins", "https://a.example/", ("https://a.example",)),
    ("otp_cors_origins", "https://a.example:443, HTTPS://A.Example", ("https://a.example",)),
    ("otp_cors_origins", "http://a.example:80,http://localhost:3000", ("http://a.example", "http://localhost:3000")),
    ("otp_cors_origins", "https://bücher.example", ("https://xn--bcher-kva.example",)),
    ("otp_cors_origins", "capacitor://localhost,ionic://localhost", ("capacitor://localhost", "ionic://localhost")),
    ("otp_cors_origins", "http://my_host:3000", ("http://my_host:3000",)),
    ("otp_cors_origins", "*", ("*",)),
    ("otp_cors_origins", "null", None),
    ("otp_cors_origins", "a.example", None),
    ("otp_cors_origins", "https://*.x", None),
    ("otp_cors_origins", "*.a.example", None),
    ("otp_cors_origins", "https://a.example/login", None),
    ("otp_cors_origins", "https://a.example?x", None),
    ("otp_cors_origins", "https://u:s3cret@a.example", None),
    ("otp_cors_origins", "htps://a.example", None),
    ("otp_cors_origins", "https://a.example https://b.example", None),
    ("otp_cors_origins", '["https://a.example"]', None),
    ("twilio_base_url", "HTTPS://Twilio.Example:443/", "https://twilio.example"),
    ("twilio_base_url", "http://127.0.0.1:8001/sandbox", "http://127.0.0.1:8001/sandbox"),
    ("twilio_base_url", "https://AC1:s3cret@twilio.example", None),
    ("twilio_base_url", "https://twilio.example/?x=1", None),
    ("twilio_base_url", "https://twilio.example:70000", None),
    ("twilio_base_url", "https://twilio.example\n/", None),
    # Regions and names.
    ("otp_countries", "US,PR,GB,JE,XK", ("US", "PR", "GB", "JE", "XK")),
    ("otp_countries", "UK,XX", None),
    ("otp_countries", "EU", None),
    ("otp_countries", "001", None),
    ("twilio_edge", " Sydney ", "sydney"),
    ("twilio_edge", "sydney.evil.example/", None),
    ("twilio_edge", "syd ney", None),
    ("twilio_region", "au1#", None),
    ("twilio_whatsapp_from", "14155550100", None),
    ("twilio_whatsapp_from", "Rooster", None),
    ("twilio_whatsapp_templates", "", ()),
    ("twilio_whatsapp_templates", "de:HX" + "5a" * 16, None),
    ("twilio_whatsapp_templates", "de_DE=HX" + "5a" * 16, None),
    ("twilio_whatsapp_templates", "en=MG" + "5a" * 16, None),
    ("twilio_whatsapp_templates", "en", None),
    ("twilio_whatsapp_templates", f"en={'HX' + '5a' * 16},en={'HX' + '6b' * 16}", None),
    ("otp_whatsapp_minutes", "5", 5),
    ("otp_whatsapp_minutes", "11", None),  # no code lives so long
    ("otp_whatsapp_minutes", "0", None),
    ("twilio_voice_from", "+14155550100", "+14155550100"),
    ("twilio_voice_from", "MG" + "5a" * 16, None),  # calls come from no pool
    ("twilio_from", "Rooster-1", "Rooster-1"),
    ("twilio_from", "A&B +C_D", "A&B +C_D"),
    ("twilio_from", "12-34", None),
    ("twilio_from", "Rooster!", None),
    ("twilio_account_sid", AC + "\n", AC),
    ("twilio_account_sid", "MG" + "5a" * 16, None),
    ("twilio_account_sid", "ACxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", None),
    ("twilio_api_key", AC, None),
    ("twilio_messaging_service_sid", "MG1", None),
    # Secrets.
    ("twilio_auth_token", "one two", None),
    ("twilio_auth_token", "one\ntwo", None),
    ("twilio_auth_token", '"5a5a5a5a"', None),
    ("twilio_auth_token", "tökén", None),
    ("twilio_api_secret", "one two", None),
    ("otp_secret_keys", "short", None),
    ("otp_secret_keys", "a" * 64, None),
    ("otp_secret_keys", "change-me-change-me-change-me-1234", None),
    ("otp_secret_keys", "<paste the output of openssl here>", None),
    ("otp_secret_keys", f"{KEY},short", None),
    ("otp_secret_keys", f"{KEY}\n{KEY}x", None),
    ("otp_secret_keys", f'"{KEY}"', None),
    ("otp_index_key", "your-index-key-of-32-characters!", None),
    ("otp_index_key", f"'{KEY}'", None),
    # Words, switches, numbers, spans, limits, folders.
    ("otp_log_level", "WARNING", "warning"),
    ("otp_log_level", "WARN", None),
    ("otp_log_level", "", None),
    ("otp_risk_check", "Enable", "enable"),
    ("otp_risk_check", "on", None),
    ("otp_content_retention", "obfuscate", None),
    ("otp_address_retention", "discard", None),
    ("otp_worker", "Off", False),
    ("otp_worker", " YES ", True),
    ("otp_worker", "", None),
    ("otp_docs", "maybe", None),
    ("otp_max_sends", " 7 ", 7),
    ("otp_max_sends", "7.5", None),
    ("otp_max_sends", "\uff17", None),
    ("otp_max_attempts", "0", None),
    ("otp_max_in_flight", "10001", None),
    ("otp_code_ttl", "9999999d", None),
    ("otp_late_window", "99999999", None),
    ("otp_limit_number", "0/1d", None),
    ("otp_limit_number", "5/0m", None),
    ("otp_limit_day", "5/1w", None),
    ("otp_limit_day", "5/10m;6/1d", None),
    ("otp_trusted_proxies", "10.0.0.0/8", None),
    ("otp_trusted_proxies", "true", None),
    ("otp_data_dir", "", None),
    ("otp_data_dir", "a\0b", None),
    ("otp_brand", "", None),
    ("redis_url", " redis://redis:6379/0\n", "redis://redis:6379/0"),
    ("redis_url", "foo://x", None),
    ("redis_url", "redis://:s3cret@host:99999", None),
    ("redis_url", "redis://:s3cret@host/zero", None),
    ("redis_url", "redis+sentinel://:s3cret@a:26379", None),
    ("redis_url", "redis+cluster://:s3cret@a/1", None),
    ("redis_url", "rediss://:s3cret@host?ssl_ca_certs=/no/such/file", None),
]
WRONG = [(name, value) for name, value, read in UNDERSTOOD if read is None]


@pytest.mark.parametrize(("name", "value", "read"), UNDERSTOOD)
def test_a_value_is_read_or_refused_with_its_name(name, value, read):
    """A usable value has one meaning; an unusable one is refused with the setting's name and without the value."""
    if read is not None:
        assert getattr(load_settings(_env_file=None, **{name: value}), name) == read
        return
    with pytest.raises(SettingsRefused) as refusal:
        load_settings(_env_file=None, **{name: value})
    [sentence] = str(refusal.value).splitlines()
    assert sentence.startswith(f"{name.upper()}: ")
    assert sentence.endswith(".")
    assert "s3cret" not in sentence
    assert len(value) < 5 or value not in sentence


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"otp_max_sends": "many"}, "OTP_MAX_SENDS: write a whole number."),
        ({"otp_max_sends": "0"}, "OTP_MAX_SENDS: write a number of at least 1."),
        ({"otp_code_length": "9"}, "OTP_CODE_LENGTH: write a number of at most 8."),
        ({"otp_code_ttl": "11m"}, "OTP_CODE_TTL: write a duration of at most 10m (600 seconds)."),
        ({"otp_code_ttl": "29"}, "OTP_CODE_TTL: write a duration of at least 30s (30 seconds)."),
        ({"otp_late_window": "2d"}, "OTP_LATE_WINDOW: write a duration of at most 1d (86400 seconds)."),
        ({"otp_docs": "maybe"}, "OTP_DOCS: write true or false."),
        ({"otp_log_level": "loud"}, "OTP_LOG_LEVEL: write debug, info, warning or error."),
    ],
)
def test_a_refusal_says_what_to_write(values, sentence):
    """Every refusal says in plain words what to write."""
    with pytest.raises(SettingsRefused) as refusal:
        load_settings(_env_file=None, **values)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("written", "meant"), [("UK", "GB"), ("USA", "US"), ("GER", "DE"), ("us", "US"), ("EL", "GR"), ("IRL", "IE")]
)
def test_a_misnamed_region_gets_a_suggestion(written, meant):
    """A name that is not a region is refused with the region that is probably meant."""
    with pytest.raises(SettingsRefused, match=f"{written}: write {meant}"):
        load_settings(_env_file=None, otp_countries=f"FR,{written}")


def test_the_territories_of_the_example_are_regions():
    """The territories that `.env.example` lists as regions of their own are accepted by OTP_COUNTRIES."""
    text = (Path(__file__).parents[2] / ".env.example").read_text("utf-8")
    comment = text.partition("# Regions that may be sent to")[2].partition("\nOTP_COUNTRIES=")[0]
    named = re.findall(r"\b[A-Z]{2}\b", comment)
    assert len(named) > 20
    assert load_settings(_env_file=None, otp_countries=",".join(named)).otp_countries == tuple(named)


@pytest.mark.parametrize("values", [{"twilio_region": "br1"}, {"twilio_region": "AU2"}])
def test_a_region_without_an_edge_is_refused(values):
    """A region without a known edge location is refused unless its edge is set, too."""
    with pytest.raises(SettingsRefused, match="set TWILIO_EDGE too"):
        load_settings(_env_file=None, **values)


@pytest.mark.parametrize(
    ("edge", "region", "address"),
    [
        ("", "au1", "https://api.sydney.au1.twilio.com"),
        ("", "IE1", "https://api.dublin.ie1.twilio.com"),
        ("", "us1", "https://api.ashburn.us1.twilio.com"),
        ("sao-paulo", "br1", "https://api.sao-paulo.br1.twilio.com"),
        ("", "", "https://api.twilio.com"),
    ],
)
def test_a_region_implies_its_edge(edge, region, address):
    """The host name contains both edge and region, or neither."""
    settings = load_settings(
        _env_file=None, twilio_edge=edge, twilio_region=region, twilio_account_sid=AC, twilio_auth_token="t" * 32
    )
    assert twilio_account(settings).address == address


@pytest.mark.parametrize(
    ("url", "is_so"),
    [
        (None, False), ("https://otp.example.com", False), ("https://8.8.8.8", False), ("http://otp.example.com", True),
        ("https://localhost", True), ("https://otp", True), ("https://127.0.0.1", True), ("https://10.1.2.3", True),
        ("https://otp.local", True), ("https://otp.default.svc.cluster.local", True), ("https://[::1]", True),
    ],
)  # fmt: skip
def test_addresses_that_twilio_does_not_call_are_recognised(url, is_so):
    """Plain http, loopback, private networks and host names without a public suffix are for development."""
    assert is_for_development(url) is is_so


@pytest.mark.parametrize("place", ["environment", ".env", "file", "keyword"])
@pytest.mark.parametrize("around", ["{}", "{}\n", " {}", "\t{} \r\n", "\ufeff{}", "\ufeff {}\n"])
def test_a_value_is_stripped_in_every_source(place, around, tmp_path, monkeypatch):
    """Surrounding whitespace and a byte order mark never change a key, token or number, wherever it is set."""
    monkeypatch.chdir(tmp_path)
    text = around.format(KEY)
    keyword = {}
    if place == "environment":
        monkeypatch.setenv("OTP_INDEX_KEY", text)
    elif place == ".env":
        (tmp_path / ".env").write_text(f"OTP_INDEX_KEY='{text}'\n", "utf-8")
    elif place == "file":
        (tmp_path / "otp_index_key").write_text(text, "utf-8")
        monkeypatch.setenv("OTP_SECRETS_DIR", str(tmp_path))
    else:
        keyword = {"otp_index_key": text}
    assert load_settings(**keyword).otp_index_key.get_secret_value() == KEY


def test_the_same_value_in_two_places_is_compared_stripped(tmp_path, monkeypatch):
    """A file with a byte order mark and a variable with trailing whitespace hold the same value."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "otp_index_key").write_text(f"\ufeff{KEY}\n", "utf-8")
    monkeypatch.setenv("OTP_SECRETS_DIR", f" {tmp_path}\n")
    monkeypatch.setenv("OTP_INDEX_KEY", f"{KEY} ")
    assert load_settings().otp_index_key.get_secret_value() == KEY


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_an_env_file_in_utf_16_is_named(encoding, tmp_path, monkeypatch):
    """A `.env` in UTF-16 is refused; the message says to save it as UTF-8, with or without a byte order mark."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes("OTP_BRAND=Rooster\n".encode(encoding))
    with pytest.raises(SettingsRefused, match=r"^\.env is written in UTF-16\. Save it as UTF-8\.$"):
        load_settings()


def test_an_unreadable_env_file_is_named(tmp_path, monkeypatch):
    """A `.env` in Latin-1, or a folder that Docker created for a missing file, is refused by name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes("OTP_BRAND=Käse\n".encode("latin-1"))
    with pytest.raises(SettingsRefused, match=r"^\.env is not UTF-8 text"):
        load_settings()
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").mkdir()
    with pytest.raises(SettingsRefused, match=r"^\.env cannot be read \(Is a directory\)\.$"):
        load_settings()


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("OTP_REQUIRE_CLIENT_IP hush-hush", " (OTP_REQUIRE_CLIENT_IP)"),
        ("export OTP_REQUIRE_CLIENT_IP hush-hush", " (OTP_REQUIRE_CLIENT_IP)"),
        ("OTP_REQUIRE_CLIENT_IP", " (OTP_REQUIRE_CLIENT_IP)"),
        ("OTP_DOCS: hush-hush", " (OTP_DOCS)"),
        ('OTP_BRAND="hush-hush', " (OTP_BRAND)"),
        ("otp_brand = 'hush-hush'", None),
        ("otp_brand = 'hush-hush's'", " (OTP_BRAND)"),
        ("'OTP_BRAND'='hush-hush", " (OTP_BRAND)"),
        ('OTP_BRAND="hush"hush', " (OTP_BRAND)"),
        ("TWILIO_AUTH_TOKENhush-hush token", ""),
        ("hush-hush hush-hush", ""),
        ("PORT", None),
        ("=hush-hush", ""),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_an_unreadable_line_of_an_env_file_is_refused(line, named, end, tmp_path, monkeypatch):
    """A line other than NAME=VALUE is refused with its number and the setting, and without its value."""
    monkeypatch.chdir(tmp_path)
    text = end.join(["# our settings", "OTP_DOCS=true", "", "  ", line, "OTP_WORKER=false", ""])
    (tmp_path / ".env").write_bytes(text.encode())
    if named is None:
        assert load_settings().otp_worker is False
        return
    with pytest.raises(SettingsRefused) as refusal:
        load_settings()
    assert str(refusal.value) == f".env, line 5{named}: write NAME=VALUE; quotes, if any, must enclose the whole value."


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_an_env_file_is_not_expanded(tmp_path, monkeypatch, quote):
    """A secret that contains `${NAME}` or `$` is read literally, whatever the environment holds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/elsewhere")
    secret = f"${{HOME}}$HOME${{X:-y}}{KEY}"
    (tmp_path / ".env").write_text(f"TWILIO_AUTH_TOKEN={quote}{secret}{quote}\n", "utf-8")
    [token] = load_settings().twilio_auth_token
    assert token.get_secret_value() == secret


def test_a_byte_order_mark_hides_no_setting(tmp_path, monkeypatch):
    """The first line of a `.env` with a byte order mark is read like the others."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("\ufeffOTP_BRAND=Rooster\n", "utf-8")
    assert load_settings().otp_brand == "Rooster"


@pytest.mark.parametrize("name", SETTINGS)
def test_a_pasted_token_appears_in_no_refusal(name):
    """A token with whitespace, quotes or an at sign in another setting never appears in a message about it."""
    secret = secrets.token_hex(16)
    messages = []
    for form in ("{}", "{} x", '"{}"', "https://u:{}@h", "redis://:{}@h:x", "{},x", "-{}"):
        try:
            load_settings(_env_file=None, **{name.lower(): form.format(secret)})
        except SettingsRefused as refusal:
            messages.append(str(refusal))
    assert not [sentence for sentence in messages if secret in sentence]
