"""The promises of `service.cli`: each command works, or says in one sentence why it cannot; never a traceback.

Most commands run in this process through `main`, as the console script runs them. Commands that serve, handle signals
or start the embedded store run as `python -m service`.
"""

import asyncio
import json
import os
import pty
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.cli import app
from service.core.api_keys import Scope
from service.version import VERSION
from tests.free_ports import free_port

ROOT = Path(__file__).parents[2]
COMMANDS = (
    ["demo"], ["serve"], ["worker"], ["sandbox"], ["check"], ["texts"], ["report"], ["keys"], ["numbers"], ["outbox"],
    ["keys", "create"], ["keys", "update"], ["keys", "list"], ["keys", "revoke"],
    ["outbox", "list"], ["outbox", "failed"], ["outbox", "retry"],
    ["numbers", "show"], ["numbers", "release"], ["numbers", "erase"],
)  # fmt: skip


def environment_of(settings):
    """Write the settings of a running service as environment variables."""
    return {
        "REDIS_URL": settings.redis_url,
        "TWILIO_ACCOUNT_SID": settings.twilio_account_sid,
        "TWILIO_AUTH_TOKEN": settings.twilio_auth_token[0].get_secret_value(),
        "TWILIO_FROM": settings.twilio_from,
        "TWILIO_BASE_URL": settings.twilio_base_url,
        "OTP_PUBLIC_URL": settings.otp_public_url,
        "OTP_SECRET_KEYS": settings.otp_secret_keys[0].get_secret_value(),
        "OTP_INDEX_KEY": settings.otp_index_key.get_secret_value(),
    }


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_a_help_text(cli, command):
    """`--help` of each command says what it does and how it is called."""
    status, out, _ = cli(*command, "--help")
    assert status == 0
    assert f"otp-service {' '.join(command)}" in out
    assert re.search(r"[A-Z][a-z].{15,}\.", out)


def test_the_version_is_shown(cli):
    """`otp-service --version` prints the version, and needs no settings."""
    assert cli("--version", REDIS_URL="foo://x") == (0, f"otp-service {VERSION}\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_is_shown(cli, shell):
    """`--show-completion` prints the script for a shell; it needs no settings."""
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # else it is the shell that runs the tests
    status, out, err = cli("--show-completion", shell, REDIS_URL="foo://x", **named)
    assert (status, err) == (0, "")
    assert "_OTP_SERVICE_COMPLETE=complete_" + shell in out


def test_commands_are_completed(cli):
    """The shell gets the names of commands that begin with what is typed."""
    typed = {"COMP_WORDS": "otp-service numbers er", "COMP_CWORD": "2"}
    assert cli(_OTP_SERVICE_COMPLETE="complete_bash", **typed)[1].split() == ["erase"]


def test_the_help_lists_every_command(cli):
    """`otp-service --help` lists every command; an unknown command is refused."""
    _, out, _ = cli("--help")
    assert {command[0] for command in COMMANDS} == set(re.findall(r"^[│ ] +(\w+) {2,}\S", out, re.MULTILINE)) & {
        *(command[0] for command in COMMANDS)
    }
    assert len(app.registered_commands) + len(app.registered_groups) == len({command[0] for command in COMMANDS})
    assert cli("nothing")[0] == 2


def test_a_new_key_is_printed_alone_and_stored_as_a_digest(cli, store):
    """`keys create` prints the key and nothing else; Redis has its digest, its name and its scopes only."""
    status, out, err = cli("keys", "create", "shop")
    assert (status, err) == (0, "")
    assert re.fullmatch(r"otp_sk_[\w-]{43}\n", out)
    [(digest, content)] = store.hgetall("otp:keys").items()
    particulars = json.loads(content)
    assert (particulars["name"], particulars["scopes"]) == ("shop", ["verifications"])
    assert re.fullmatch(rb"[0-9a-f]{64}", digest)
    assert out.strip().encode() not in digest + content


def test_a_key_gets_the_scopes_that_are_named(cli, store):
    """`--scope` may be repeated, also the same one; an unknown scope is refused."""
    named = ("reports", "operate", "reports")
    assert cli("keys", "create", "ops", *(part for scope in named for part in ("--scope", scope)))[0] == 0
    assert cli("keys", "create", "bad", "--scope", "root")[0] == 2
    [content] = store.hvals("otp:keys")
    assert json.loads(content)["scopes"] == ["operate", "reports"]


def test_the_list_shows_names_and_never_keys(cli, store):
    """`keys list` prints a header and a row per key with name, scopes and date, but neither the key nor its digest."""
    made = [cli("keys", "create", name)[1].strip() for name in ("shop", "app two")]
    status, out, _ = cli("keys", "list")
    assert status == 0
    lines = [re.split(r"  +", line) for line in out.splitlines()]
    assert lines[0] == ["NAME", "SCOPES", "CREATED", "OWNER", "BRAND", "SENDER", "LOCALE", "TEXTS"]
    assert [line[:2] + line[3:4] for line in lines[1:]] == [
        ["app two", "verifications", "app two"],
        ["shop", "verifications", "shop"],
    ]
    assert len({line.index("2") for line in out.splitlines()[1:]}) == 1, "the columns are aligned"
    assert "otp_sk_" not in out
    assert not [key for key in made if key in out]
    assert not [digest for digest in store.hkeys("otp:keys") if digest.decode() in out]


def test_the_list_of_keys_as_json(cli, store):
    """`keys list --json` prints an array with an object on each line, which is empty if there is no key."""
    assert cli("keys", "list", "--json")[:2] == (0, "[]\n")
    for name in ("shop", "app two"):
        cli("keys", "create", name, "--owner", "shop")
    status, out, _ = cli("keys", "list", "--json")
    rows = json.loads(out)
    assert status == 0
    assert [(row["name"], row["scopes"], row["owner"]) for row in rows] == [
        ("app two", ["verifications"], "shop"),
        ("shop", ["verifications"], "shop"),
    ]
    assert {tuple(row) for row in rows} == {
        ("name", "scopes", "created_at", "owner", "brand", "sender", "locale", "texts")
    }
    assert [json.loads(line.strip(",")) for line in out.splitlines()[1:-1]] == rows


def test_empty_lists_are_sentences(cli, store):
    """A list without entries says so; as JSON it is an empty array."""
    for command, sentence in (
        (["keys", "list"], "No API keys."),
        (["outbox", "list"], "Nothing is pending."),
        (["outbox", "failed"], "Nothing has failed."),
    ):
        assert cli(*command)[:2] == (0, f"{sentence}\n")
        assert cli(*command, "--json")[:2] == (0, "[]\n")


def test_the_help_of_create_names_the_scopes_and_the_default(cli):
    """`keys create --help` names every scope and the default."""
    _, out, _ = cli("keys", "create", "--help")
    words = " ".join(out.replace("│", " ").split())
    assert [scope for scope in Scope if scope not in words] == []
    assert "[default: verifications]" in words


def test_on_a_terminal_a_key_stands_alone(environment, valkey, redis, tmp_path):
    """On a terminal an empty line parts a new key from the audit line."""
    command = [sys.executable, "-m", "service", "keys", "create", "shop"]
    terminal, their_end = pty.openpty()
    with subprocess.Popen(
        command, cwd=tmp_path, env={**environment, "REDIS_URL": valkey}, stdout=their_end, stderr=their_end
    ) as made:
        assert made.wait(30) == 0
        shown = os.read(terminal, 4096).decode().replace("\r\n", "\n")
    os.close(their_end)
    os.close(terminal)
    assert re.fullmatch(r'\{"event":"audit".*\n\notp_sk_[\w-]{43}\n', shown)


def test_names_of_keys_are_unique(cli, store):
    """A second key of the same name is refused, so that revoking a name means one key."""
    assert cli("keys", "create", "shop")[0] == 0
    status, out, err = cli("keys", "create", "shop")
    assert (status, out) == (2, "")
    assert err == "a key named 'shop' exists already; revoke it or choose another name\n"
    assert store.hlen("otp:keys") == 1


def test_an_unknown_owner_is_asked_for(cli, store):
    """A slip in `--owner` makes no key that finds nothing; `--new-owner` takes an owner without keys."""
    cli("keys", "create", "shop")
    status, out, err = cli("keys", "create", "shop-2", "--owner", "shpo")
    assert (status, out) == (2, "")
    assert err == (
        "no key has the owner 'shpo'; see otp-service keys list. If all its keys are revoked, or it is new, "
        "add --new-owner\n"
    )
    assert store.hlen("otp:keys") == 1
    cli("keys", "revoke", "shop")
    assert cli("keys", "create", "shop-2", "--owner", "shop")[0] == 2
    assert cli("keys", "create", "shop-2", "--owner", "shop", "--new-owner")[0] == 0
    assert cli("keys", "create", "shop-3", "--owner", "shop")[0] == 0


def test_a_key_can_be_replaced_again_and_again(cli, store):
    """Each replacement has the owner of the key that it replaces: its verifications are found under the first name."""
    for name, owner in (("1", "1"), ("2", "1"), ("3", "2")):
        cli("keys", "create", name, "--owner", owner, "--brand", f"Rooster {owner}")
    cli("keys", "revoke", "1")
    cli("keys", "create", "4", "--owner", "1")
    rows = json.loads(cli("keys", "list", "--json")[1])
    owners = {row["name"]: (row["owner"], row["brand"]) for row in rows}
    assert owners == {"2": ("1", "Rooster 1"), "3": ("1", "Rooster 2"), "4": ("1", "Rooster 2")}


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb", "a\tb", "\x1b[31m"])
def test_a_name_is_one_printable_line(cli, store, name):
    """A name that would break the list or a terminal is refused, and no key is made."""
    assert cli("keys", "create", name) == (2, "", "a name has 1 to 64 printable characters\n")
    assert store.hlen("otp:keys") == 0


@pytest.mark.parametrize("command", [["revoke"], ["create"], ["create", "app", "--owner"]], ids=" ".join)
def test_a_key_pasted_as_a_name_is_refused_without_repeating_it(cli, store, command):
    """A valid key given as a name is refused; neither the refusal nor an audit line repeats it."""
    key = cli("keys", "create", "shop")[1].strip()
    made = list(cli.audited)
    for pasted in (key, f" {key}"):
        status, out, err = cli("keys", *command, pasted)
        assert (status, out) == (2, "")
        assert err == "a name must not contain otp_sk_: give the name of the key, not the key\n"
    assert (cli.audited, store.hlen("otp:keys")) == (made, 1)


def test_a_revoked_key_is_deleted_and_an_unknown_name_is_refused(cli, store):
    """`keys revoke` deletes the key with that name; for an unknown name it exits with 2."""
    cli("keys", "create", "shop")
    status, out, err = cli("keys", "revoke", "shop")
    assert (status, out, store.hlen("otp:keys")) == (0, "", 0)
    assert "within 30 seconds" in err
    assert cli("keys", "revoke", "shop") == (2, "", "no key is named 'shop'\n")


def test_check_as_json_says_that_redis_is_away(cli):
    """Without Redis `check --json` is whole JSON, with an error that names the cause."""
    status, out, err = cli("check", "--json", REDIS_URL="redis://127.0.0.1:1")
    assert (status, err) == (1, "")
    assert [found for found in json.loads(out)["findings"] if "refused. Nothing listens" in found["text"]]


def test_an_unreachable_redis_is_reported_in_one_sentence(cli):
    """A command that cannot reach Redis says so and exits with 2; --json prints no empty list."""
    lists = (["keys", "list"], ["outbox", "list"], ["outbox", "failed"])
    for command in (*lists, ["keys", "create", "x"], *([*each, "--json"] for each in lists)):
        status, out, err = cli(*command, REDIS_URL="redis://127.0.0.1:1")
        assert (status, out, len(err.splitlines())) == (2, "", 1)
        assert "refused. Nothing listens where REDIS_URL points" in err


def test_a_password_in_a_broken_address_is_not_shown(cli):
    """A malformed REDIS_URL is refused without any part of it; serving commands refuse it before they start."""
    keys = {name: secrets.token_urlsafe(32) for name in ("OTP_SECRET_KEYS", "OTP_INDEX_KEY")}
    for command in ("serve", "worker"):
        status, _, err = cli(command, **twilio_at(1), **keys, REDIS_URL="redis://user:p4ssw0rd/x#y@host:port")
        assert (status, "the Redis URL is not understood" in err, "p4ss" in err) == (2, True, False)
    status, _, err = cli("keys", "list", REDIS_URL="redis://user:p4ssw0rd/x#y@host:port")
    assert status == 2
    assert err.startswith("REDIS_URL: the Redis URL is not understood")
    assert "p4ssw0rd" not in err


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_without_credentials_the_demo_is_named(cli, command):
    """Commands that need Twilio list everything that is missing, name `demo` and exit with 2."""
    status, out, err = cli(command)
    assert (status, out) == (2, "")
    for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_FROM", "OTP_SECRET_KEYS", "OTP_INDEX_KEY"):
        assert name in err
    assert err.endswith("To try the service without an account, run: otp-service demo\n")


def test_the_help_of_serve_names_every_exit_status_and_option(cli):
    """`serve --help` explains --workers, and the exit status 3 of a service that could not start."""
    status, out, _ = cli("serve", "--help")
    words = " ".join(out.replace("│", " ").split())
    assert status == 0
    assert "3 if `serve` could not start" in words
    assert "Processes that serve" in words


READING = (
    ["serve"], ["serve", "--workers", "2"], ["worker"], ["check"], ["keys", "list"], ["keys", "create", "shop"],
    ["keys", "revoke", "shop"], ["outbox", "list"], ["outbox", "failed"], ["outbox", "retry", "--all"],
    ["numbers", "show", "+14155550123"], ["numbers", "release", "+14155550123"], ["numbers", "erase", "+14155550123"],
)  # fmt: skip
# One of each kind, with the name in its refusal; `tests/config/test_values.py` has them all.
NEVER = {
    "OTP_CODE_LENGTH": "99", "REDIS_URL": "foo://:p4ssw0rd@x", "OTP_PUBLIC_URL": "https://u:p4ssw0rd@otp.example",
    "OTP_CORS_ORIGINS": "null", "OTP_COUNTRIES": "UK", "TWILIO_FROM": "Rooster!", "TWILIO_REGION": "br1",
    "TWILIO_ACCOUNT_SID": "ACxxxx", "TWILIO_AUTH_TOKEN": "p4ssw0rd x", "OTP_SECRET_KEYS": "p4ssw0rd",
    "OTP_SECRETS_DIR": __file__, "OTP_WORKER": "maybe", "TWILIO_API_SECRET": "p4ssw0rd",
}  # fmt: skip


@pytest.mark.parametrize("command", READING, ids=" ".join)
@pytest.mark.parametrize("name", NEVER)
def test_an_invalid_setting_stops_every_command(cli, command, name):
    """Every command that reads settings exits with 2 and one sentence that names the setting, and changes nothing."""
    status, out, err = cli(*command, **{name: NEVER[name]})
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert name in err
    assert "p4ssw0rd" not in err
    assert cli.audited == []


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_an_env_file_that_cannot_be_read_stops_every_command(cli, command, tmp_path):
    """A `.env` in UTF-16 causes one sentence that names it and exit status 2: no traceback, and no default instead."""
    (tmp_path / ".env").write_bytes("OTP_BRAND=Rooster".encode("utf-16"))
    assert cli(*command) == (2, "", ".env is written in UTF-16. Save it as UTF-8.\n")


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_an_unreadable_line_of_an_env_file_stops_every_command(cli, command, tmp_path):
    """An unreadable line of `.env` causes one sentence and exit status 2: no default is used instead."""
    (tmp_path / ".env").write_text("OTP_REQUIRE_CLIENT_IP p4ssw0rd\n", "utf-8")
    sentence = ".env, line 1 (OTP_REQUIRE_CLIENT_IP): write NAME=VALUE; quotes, if any, must enclose the whole value.\n"
    assert cli(*command) == (2, "", sentence)


def test_an_unusable_data_folder_is_reported_once(cli):
    """If OTP_DATA_DIR is a file, every command exits with 2, and `check` prints the same message with the fix."""
    exists = re.escape(f"File exists: '{__file__}'")
    sentence = rf"The data folder cannot be created \(.*{exists}\): set OTP_DATA_DIR, or REDIS_URL\.\n"
    for command in (["keys", "list"], ["outbox", "list"]):
        status, out, err = cli(*command, OTP_DATA_DIR=__file__, REDIS_URL="")
        assert (status, out) == (2, "")
        assert re.fullmatch(sentence, err)
    status, out, _ = cli("check", OTP_DATA_DIR=__file__, REDIS_URL="")
    assert status == 1
    assert re.search(rf"^ERROR {sentence}", out, re.MULTILINE)


def test_check_warns_of_unknown_names(cli, store, tmp_path):
    """`check` warns of misspelt settings in every source, suggests the right name, and ignores foreign names."""
    (tmp_path / ".env").write_text("OTP_LIMIT_NUMBERS=1/1d\nPORT=80\n", "utf-8")
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "twilio_token").write_text("hush-hush")
    (folder / "otp_brand").write_text("Rooster")
    _, out, _ = cli(
        "check", OTP_TRUSTED_PROXY="1", OTP_SERVICE_HOST="10.0.0.1", OTP_PORT_8000_TCP_ADDR="10.0.0.1",
        OTP_SECRETS_DIR=str(folder),
    )  # fmt: skip
    assert re.findall(r"^WARN  (\S+) in (.+?) is not a setting and is ignored\.(.*)$", out, re.MULTILINE) == [
        ("OTP_TRUSTED_PROXY", "the environment", " Did you mean OTP_TRUSTED_PROXIES?"),
        ("OTP_LIMIT_NUMBERS", ".env", " Did you mean OTP_LIMIT_NUMBER?"),
        ("TWILIO_TOKEN", "the folder of secrets", " Did you mean TWILIO_AUTH_TOKEN?"),
    ]
    assert "hush-hush" not in out


@pytest.mark.parametrize(
    ("values", "warned"),
    [
        ({"OTP_PUBLIC_URL": "http://otp.example.com"}, True),
        ({"OTP_PUBLIC_URL": "https://localhost:8443"}, True),
        ({"OTP_PUBLIC_URL": "https://otp.example.com"}, False),
        ({"OTP_PUBLIC_URL": "http://127.0.0.1:8000", "TWILIO_BASE_URL": "http://127.0.0.1:8001"}, False),
    ],
)
def test_check_warns_of_addresses_that_twilio_does_not_call(cli, store, values, warned):
    """With the real Twilio, `check` warns of plain http and of hosts that are not public."""
    _, out, _ = cli("check", **values)
    assert ("OTP_PUBLIC_URL is plain http, or its host is not public" in out) is warned


def test_check_warns_of_an_address_of_links_that_does_harm(cli, store):
    """An address of links that is too long is named with the languages it does not fit; so is an uncounted proxy."""
    url = "https://" + "o" * 40 + ".example"
    behind = {"OTP_TRUSTED_PROXIES": "1"}
    assert "OTP_LINK_URL" not in cli("check", OTP_LINK_URL="https://go.example", **behind)[1]
    assert "OTP_LINK_URL is set and OTP_TRUSTED" in cli("check", OTP_LINK_URL="https://go.example")[1]
    lines = cli("check", OTP_LINK_URL=url + "." + "p" * 40, **behind)[1].splitlines()
    [warning] = [line for line in lines if "OTP_LINK" in line]
    assert re.search(r"WARN +OTP_LINK_URL is too long: no link can be sent in .*\ben\b", warning)
    out = cli("check", OTP_PUBLIC_URL=url + "." + "p" * 40)[1]
    assert re.search(
        r"WARN +OTP_PUBLIC_URL is too long: no link can be sent in .*\ben\b.* Set a shorter OTP_LINK_URL", out
    )


def test_check_warns_of_an_edge_or_region_that_is_ignored(cli, store):
    """TWILIO_BASE_URL overrides both, so `check` warns if one is set too."""
    _, out, _ = cli("check", TWILIO_BASE_URL="http://127.0.0.1:8001", TWILIO_REGION="au1")
    assert "WARN  TWILIO_BASE_URL is set, so TWILIO_EDGE and TWILIO_REGION are ignored." in out


def test_check_groups_and_counts_its_findings(cli, store):
    """`check` prints errors, then warnings, then the rest, each group under its number; then the next step."""
    status, out, _ = cli("check", TWILIO_BASE_URL="http://127.0.0.1:8001", TWILIO_REGION="au1")
    *groups, last = [group.splitlines() for group in out.split("\n\n")]
    numbers = [len(group) - 1 for group in groups]
    assert [group[0] for group in groups] == [f"{numbers[0]} errors", f"{numbers[1]} warnings", f"{numbers[2]} fine"]
    for group, level in zip(groups, ("ERROR", "WARN ", "OK   "), strict=True):
        assert {line[:6] for line in group[1:]} == {f"{level} "}
    assert (status, last) == (1, [f"Next: fix the {numbers[0]} errors above, then run check again."])


def test_check_as_json(cli, store):
    """`check --json` prints the number of errors and warnings, and each finding with its level; same exit status."""
    status, out, _ = cli("check", "--json")
    found = json.loads(out)
    levels = [finding["level"] for finding in found["findings"]]
    assert (status, list(found)) == (1, ["errors", "warnings", "findings"])
    assert (found["errors"], found["warnings"]) == (levels.count("error"), levels.count("warning"))
    assert set(levels) == {"error", "warning", "ok"}
    assert all(finding["text"].endswith((".", "32")) for finding in found["findings"])
    assert cli("check", "--json", "--send-to", "+14155550123")[0] == 2


def test_settings_may_be_in_a_file(cli, store, tmp_path):
    """`.env` in the working directory is read; the environment overrides it."""
    (tmp_path / ".env").write_text("OTP_CODE_LENGTH=99\n", "utf-8")
    assert cli("keys", "list")[0] == 2
    assert cli("keys", "list", OTP_CODE_LENGTH="6")[0] == 0


async def test_check_tests_the_credentials(start, cli):
    """`check` exits with 0 if all works and with 1 if Twilio refuses the credentials; it sends nothing."""
    service = await start()
    good = environment_of(service.settings)
    status, out, err = await asyncio.to_thread(cli, "check", **good)
    assert (status, err) == (0, "")
    assert "OK    Twilio accepts the credentials." in out
    assert "WARN  OTP_LIMIT_DAY" not in out
    assert out.splitlines()[-2] == "Next: otp-service serve, unless it runs already"
    assert "otp-service check --send-to" in out.splitlines()[-1]
    assert len(out.splitlines()[-1]) <= 80
    status, out, _ = await asyncio.to_thread(cli, "check", **good | {"TWILIO_AUTH_TOKEN": "wrong-token"})
    assert status == 1
    assert re.search(r"^ERROR .*Twilio", out, re.MULTILINE)
    assert "wrong-token" not in out
    assert service.messages() == []


async def test_check_tells_programs_where_replies_go(start, cli):
    """`check --json` has what it read of replies and calls; a webhook by GET is a warning and no error."""
    service = await start()
    service.sandbox.account.add_number(service.settings.twilio_from, sms_method="GET")
    status, out, _ = await asyncio.to_thread(cli, "check", "--json", **environment_of(service.settings))
    findings = json.loads(out)["findings"]
    assert status == 0
    assert {"level": "ok", "text": "Twilio posts calls to this service."} in findings
    [warning] = [each["text"] for each in findings if each["level"] == "warning" and "HTTP GET" in each["text"]]
    assert warning.startswith("Replies do not arrive: ")


async def test_pending_confirmations_can_be_listed(start, cli, valkey):
    """`outbox list` prints SID, send, tries and times of each entry, at most 80 columns, and no personal data."""
    service = await start(otp_worker=False)
    issued = await service.issue()
    await service.verify(issued["id"], service.codes()[0])
    [message] = service.messages()
    status, out, _ = await asyncio.to_thread(cli, "outbox", "list", REDIS_URL=valkey)
    header, row = [re.split(r"  +", line) for line in out.splitlines()]
    assert (status, header) == (0, ["SID", "SEND", "TRIES", "WAITING", "NEXT TRY"])
    assert (row[:3], row[4]) == ([message.sid, "1", "0"], "now")
    assert re.fullmatch(r"\d+ s", row[3])
    assert max(map(len, out.splitlines())) <= 80
    status, listed, _ = await asyncio.to_thread(cli, "outbox", "list", "--json", REDIS_URL=valkey)
    [entry] = json.loads(listed)
    assert re.fullmatch(r"\S+Z \S+Z", f"{entry.pop('since')} {entry.pop('due_at')}")
    assert entry == {"sid": message.sid, "verification_id": issued["id"], "send": 1, "tries": 0}
    assert "4155550123" not in out + listed


async def test_a_failed_confirmation_can_be_retried(start, cli, valkey, redis, eventually):
    """A confirmation that Twilio refused is listed as failed with its reason; retried, it is posted like any other."""
    service = await start()
    plan = {"endpoint": "feedback", "kind": "not_found"}
    async with service.http.post(f"{service.sandbox_url}/_/faults", json=plan) as response:
        assert response.status < 300
    issued = await service.issue()
    await service.verify(issued["id"], service.codes()[0])
    [message] = service.messages()
    assert await eventually(lambda: [key for key in redis.scan_iter("otp:*:failed") if redis.zcard(key)])
    status, out, _ = await asyncio.to_thread(cli, "outbox", "failed", REDIS_URL=valkey)
    assert status == 0
    header, row = [re.split(r"  +", line) for line in out.splitlines()]
    assert header == ["SID", "SEND", "FAILED AT", "REASON"]
    assert row[:2] == [message.sid, "1"]
    assert re.fullmatch(r"\S+Z", row[2])
    assert "404" in row[3]
    [failed] = json.loads((await asyncio.to_thread(cli, "outbox", "failed", "--json", REDIS_URL=valkey))[1])
    assert list(failed) == ["sid", "verification_id", "send", "tries", "since", "failed_at", "reason"]
    assert (failed["verification_id"], failed["reason"]) == (issued["id"], row[3])
    service.sandbox.faults.end()
    stranger = "SM" + "0" * 32
    status, _, err = await asyncio.to_thread(cli, "outbox", "retry", message.sid, stranger, REDIS_URL=valkey)
    assert (status, err) == (2, f"1 confirmation enqueued.\nnot among the failed confirmations: {stranger}\n")
    assert await eventually(service.confirmed) == {message.sid}
    retried = await asyncio.to_thread(cli, "outbox", "retry", "--all", REDIS_URL=valkey)
    assert retried == (0, "", "0 confirmations enqueued.\n")


def test_a_retry_needs_sids_or_all(cli, store):
    """`outbox retry` takes SIDs or `--all`, and refuses neither and both."""
    for arguments in ([], ["--all", "SM" + "0" * 32]):
        assert cli("outbox", "retry", *arguments) == (2, "", "name the SIDs to retry, or use --all\n")


# --- As processes -----------------------------------------------------------------------------------


@pytest.fixture
def environment(tmp_path):
    """Return an environment without settings of this machine."""
    passed_on = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
    return {
        **passed_on,
        "PYTHONPATH": str(ROOT),
        "TERM": "dumb",
        "OTP_DATA_DIR": str(tmp_path / "data"),
        "OTP_DRAIN_SECONDS": "0",
        "OTP_SECRET_KEYS": secrets.token_urlsafe(32),
        "OTP_INDEX_KEY": secrets.token_urlsafe(32),
    }


@pytest.fixture
def service_process(environment, tmp_path):
    """Return a context manager that runs a command and stops it with SIGTERM; it must then exit with 0."""

    @contextmanager
    def run(*arguments, expected_status=0, **more):
        with (
            (tmp_path / f"{arguments[0]}.log").open("w+") as log,
            subprocess.Popen(
                [sys.executable, "-m", "service", *arguments],
                cwd=tmp_path, env={**environment, **more}, stdout=log, stderr=subprocess.STDOUT,
            ) as process,
        ):  # fmt: skip
            try:
                yield process
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == expected_status, (tmp_path / f"{arguments[0]}.log").read_text()
            finally:
                if process.poll() is None:
                    process.kill()

    return run


def request(url, body=None, *, key=None):
    """Make one request; return (status, JSON), or None while the port is closed."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    wanted = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers)  # noqa: S310 - ours
    try:
        with urllib.request.urlopen(wanted, timeout=10) as response:  # noqa: S310
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())
    except OSError:
        return None


def wait_for(condition, *, seconds=30):
    """Wait until a condition holds; return its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert value, "the condition did not become true"
    return value


def twilio_at(port):
    """Return the settings for the simulator on this port, as `otp-service sandbox` prints them."""
    return {
        "TWILIO_BASE_URL": f"http://127.0.0.1:{port}",
        "TWILIO_ACCOUNT_SID": "AC" + "5a" * 16,
        "TWILIO_AUTH_TOKEN": "sandbox-auth-token",
        "TWILIO_FROM": "+15005550006",
    }


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_serve_and_keys_share_one_embedded_store(service_process, environment, tmp_path, workers):
    """A key created while `serve` runs works in all its processes; the loop closes; SIGTERM stops it with status 0."""
    port, twilio_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    twilio = twilio_at(twilio_port)
    with (
        service_process("sandbox", "--port", str(twilio_port)),
        service_process("serve", "--port", str(port), "--workers", workers, **twilio),
    ):
        assert wait_for(lambda: request(f"{url}/readyz"))[0] == 200
        made = subprocess.run(
            [sys.executable, "-m", "service", "keys", "create", "shop"],
            cwd=tmp_path, env={**environment, **twilio}, capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip
        key = made.stdout.strip()
        assert wait_for(lambda: request(f"{twilio['TWILIO_BASE_URL']}/_/messages")) == (200, [])
        status, issued = request(f"{url}/v1/verifications", {"to": "+14155550123"}, key=key)
        assert status == 201
        [message] = request(f"{twilio['TWILIO_BASE_URL']}/_/messages")[1]
        code = re.search(r"\b[0-9]{6}\b", message["body"])[0]
        for _ in range(10):  # each connection may reach another process
            assert request(f"{url}/v1/verifications/{issued['id']}", key=key)[0] == 200
        status, checked = request(f"{url}/v1/verifications/{issued['id']}/verify", {"code": code}, key=key)
        assert (status, checked["verdict"]) == (200, "approved")
        wait_for(lambda: request(f"{twilio['TWILIO_BASE_URL']}/_/messages")[1][0]["outcome"] == "confirmed")
        assert request(f"{url}/sandbox/_/messages")[0] == 404


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="a process's children are read from /proc")
def test_workers_do_not_outlive_their_parent(environment, tmp_path, valkey, redis):
    """After kill -9 of `serve --workers 2` both workers end, and the port is free."""
    port, more = free_port(), {**twilio_at(free_port()), "REDIS_URL": valkey}
    command = [sys.executable, "-m", "service", "serve", "--port", str(port), "--workers", "2"]
    children = []
    with (
        (tmp_path / "serve.log").open("w") as log,
        subprocess.Popen(command, cwd=tmp_path, env={**environment, **more}, stdout=log, stderr=log) as parent,
    ):
        try:
            wait_for(lambda: len(workers_of(parent)) == 2 and request(f"http://127.0.0.1:{port}/readyz"))
            wait_for(lambda: sum(client["name"] == "otp-service" for client in redis.client_list()) >= 2)
            children = workers_of(parent)
            parent.kill()
            parent.wait(10)
            wait_for(lambda: not any(map(is_running, children)), seconds=20)
            wait_for(lambda: can_listen(port), seconds=5)
        finally:
            parent.kill()
            for child in filter(is_running, children):
                os.kill(child, signal.SIGKILL)


def can_listen(port):
    """Return whether a server could listen on this port now."""
    with socket.socket() as next_one:
        next_one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            next_one.bind(("127.0.0.1", port))
            next_one.listen()
        except OSError:
            return False
    return True


def workers_of(parent):
    """Return the worker processes of a `serve`."""
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text("ascii").split()
    return [int(pid) for pid in children if b"service.serving" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def is_running(pid):
    """Return whether a process is alive; a zombie is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_a_worker_without_a_server_exits_with_0(service_process, valkey, redis):
    """`worker` needs no port, and exits with 0 on SIGTERM."""
    with service_process("worker", **twilio_at(free_port()), REDIS_URL=valkey):
        wait_for(lambda: any(client["name"] == "otp-service" for client in redis.client_list()))


@pytest.mark.slow
def test_the_simulator_prints_its_settings(service_process, tmp_path):
    """`sandbox` prints the settings that make the service use it as Twilio, and serves."""
    port = free_port()
    with service_process("sandbox", "--port", str(port)):
        wait_for(lambda: request(f"http://127.0.0.1:{port}/_/messages"))
        for name, value in twilio_at(port).items():
            wait_for(lambda: f"{name}={value}\n" in (tmp_path / "sandbox.log").read_text())  # noqa: B023


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [["serve"], ["serve", "--workers", "2"], ["sandbox"], ["demo", "--once"]], ids=" ".join
)
def test_a_taken_port_is_reported_in_one_sentence(environment, tmp_path, command):
    """If the port is in use, the command says so, names the option for another one, and exits with 2."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "service", *command, "--port", port],
            cwd=tmp_path, env={**environment, **twilio_at(free_port())}, capture_output=True, text=True, timeout=30,
            check=False,
        )  # fmt: skip
    assert ended.returncode == 2
    assert ended.stderr == f"cannot listen on 127.0.0.1:{port} (Address already in use); choose another with --port\n"
    assert ended.stdout == ""


@pytest.mark.parametrize("host", ["nowhere.invalid", "203.0.113.9", "::zz", "a..b", "ä" * 80])
def test_an_address_of_another_machine_is_reported_in_one_sentence(cli, host):
    """If the host is unknown or not of this machine, the command says so, names the option, and exits with 2."""
    status, out, err = cli("sandbox", "--host", host, "--port", str(free_port()))
    assert (status, out) == (2, "")
    assert err.startswith(f"cannot listen on {host}:")
    assert err.endswith("; choose another with --host\n")


def test_an_impossible_address_of_the_service_is_refused_in_one_sentence(cli):
    """The simulator posts inbound messages to the service, so it refuses an address that it cannot call."""
    assert cli("sandbox", "--service-url", "otp.example.com") == (2, "", "--service-url: begin it with https://\n")


@pytest.mark.slow
@pytest.mark.parametrize("command", [["serve"], ["serve", "--workers", "2"], ["worker"], ["check"]], ids=" ".join)
def test_a_process_that_cannot_start_exits_with_2(environment, tmp_path, command):
    """An invalid Redis URL is one sentence and exit status 2, on which the systemd units rely."""
    ended = subprocess.run(
        [sys.executable, "-m", "service", *command], cwd=tmp_path, capture_output=True, text=True, timeout=30,
        env={**environment, **twilio_at(free_port()), "REDIS_URL": "foo://x"}, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.fullmatch(r"REDIS_URL: the Redis URL is not understood: .*\.\n", ended.stderr)


@pytest.mark.slow
def test_demo_and_sandbox_ignore_the_settings(service_process, environment, tmp_path):
    """`demo` and `sandbox` read no settings, so they work in an environment with invalid ones."""
    port = free_port()
    with service_process("sandbox", "--port", str(port), **NEVER):
        wait_for(lambda: request(f"http://127.0.0.1:{port}/_/messages"))
    command = [sys.executable, "-m", "service", "demo", "--once", "--port", str(free_port())]
    ended = subprocess.run(
        command, cwd=tmp_path, env={**environment, **NEVER}, capture_output=True, text=True, timeout=50, check=False
    )
    assert ended.returncode == 0, ended.stderr
