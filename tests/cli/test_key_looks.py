"""`otp-service keys` with a brand, a sender, a language and texts: held to the rules of settings."""

import json
import re

import pytest

TEXTS = '[locale.de]\ncode = "{code} gilt bei {brand}."\n'


@pytest.fixture
def kept(store):
    """Return a function that reads what is stored of a key, by its name."""

    def read(name):
        rows = [json.loads(content) for content in store.hvals("otp:keys")]
        return next(row for row in rows if row["name"] == name)

    return read


@pytest.fixture
def file(tmp_path):
    """Return a file of texts."""
    path = tmp_path / "texts.toml"
    path.write_text(TEXTS, "utf-8")
    return str(path)


def test_a_key_is_made_and_listed_with_its_look(cli, kept, file):
    """`keys create` stores what was given, and `keys list` shows it."""
    given = ("--brand", "Rooster", "--sender", "+14155550188", "--locale", "de-AT", "--texts", file)
    assert cli("keys", "create", "rooster", *given)[0] == 0
    cli("keys", "create", "plain")
    stored = kept("rooster")
    assert [stored[name] for name in ("brand", "sender", "locale", "texts")] == ["Rooster", "+14155550188", "de", TEXTS]
    assert not {"brand", "sender", "locale", "texts"} & kept("plain").keys()
    header, *rows = [re.split(r" {2,}", line) for line in cli("keys", "list")[1].splitlines()]
    assert header[4:] == ["BRAND", "SENDER", "LOCALE", "TEXTS"]
    assert [row[4:] for row in rows] == [["-", "-", "-", "-"], ["Rooster", "+14155550188", "de", "own"]]
    shown = json.loads(cli("keys", "list", "--json")[1])
    assert [(row["brand"], row["texts"]) for row in shown] == [(None, None), ("Rooster", TEXTS)]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("--brand", "x" * 31), "--brand: the brand must be 1 to 30 characters"),
        (("--sender", "MG123"), None),
        (("--sender", "Rooster and Hen"), "--sender: write an E.164 number, a short code"),
        (("--locale", "tlh"), "--locale: there are no texts in this language"),
        (("--texts", "none.toml"), "--texts: the file cannot be read: No such file"),
    ],
    ids=["brand", "a name", "sender", "locale", "texts"],
)
def test_a_look_is_held_to_the_rules_of_the_settings(cli, store, given, sentence):
    """What the settings would refuse, `keys create` and `keys update` refuse in the same words, and store nothing."""
    if sentence is None:
        assert cli("keys", "create", "fine", *given)[0] == 0
        return
    cli("keys", "create", "first")
    before = store.hgetall("otp:keys")
    for command in (("create", "second"), ("update", "first")):
        status, out, err = cli("keys", *command, *given)
        assert (status, out) == (2, "")
        assert sentence in err
    assert store.hgetall("otp:keys") == before


def test_texts_are_checked_with_the_brand_of_the_key(cli, tmp_path, store):
    """Texts that fit the usual brand and not the key's are refused, also when only the brand changes."""
    room = tmp_path / "long.toml"
    room.write_text('[country.IN]\ncode = "{code} ' + "x" * 140 + ' {brand}"\n', "utf-8")
    texts = ("--texts", str(room))
    assert cli("keys", "create", "short", "--brand", "Hen", *texts)[0] == 0
    assert "it takes 2 segments" in cli("keys", "create", "long", "--brand", "Rooster and Hen", *texts)[2]
    status, _, err = cli("keys", "update", "short", "--brand", "Rooster and Hen")
    assert status == 2
    assert "--texts: [country.IN] code: it takes 2 segments" in err
    assert json.loads(store.hvals("otp:keys")[0])["brand"] == "Hen"


def test_a_look_is_changed_and_cleared(cli, kept, file, store):
    """`keys update` changes what is given, clears what is empty, and leaves the key and the rest as they are."""
    cli("keys", "create", "rooster", "--brand", "Rooster", "--locale", "de", "--texts", file)
    [digest] = store.hkeys("otp:keys")
    before = kept("rooster")
    status, out, err = cli("keys", "update", "rooster", "--brand", "Hen", "--texts", "", "--sender", "Hen")
    assert (status, out) == (0, "")
    assert err == "Updated rooster; every process uses it within 30 seconds.\n"
    changed = before | {"brand": "Hen", "sender": "Hen"}
    del changed["texts"]
    assert kept("rooster") == changed
    assert store.hkeys("otp:keys") == [digest]
    assert cli.audited[-1]["operation"] == "keys update"
    assert "give at least one of" in cli("keys", "update", "rooster")[2]
    assert "no key is named 'nobody'" in cli("keys", "update", "nobody", "--brand", "Hen")[2]


def test_a_key_that_replaces_another_looks_like_it(cli, kept):
    """`keys create NEW --owner OLD` takes over what is not given."""
    cli("keys", "create", "old", "--brand", "Rooster", "--locale", "de")
    cli("keys", "create", "new", "--owner", "old", "--locale", "fr")
    assert (kept("new")["brand"], kept("new")["locale"]) == ("Rooster", "fr")


def test_the_texts_of_a_key_are_printed(cli, file, store):
    """`texts --key` prints what the key sends: its own texts, and ours with its brand."""
    cli("keys", "create", "rooster", "--brand", "Rooster", "--texts", file)
    status, out, _ = cli("texts", "--key", "rooster", "--locale", "de", "--json", OTP_BRAND="Acme")
    rows = {row["action"]: row for row in json.loads(out)}
    assert status == 0
    assert re.fullmatch(r"[0-9]{6} gilt bei Rooster\.", rows["code"]["text"])
    assert (rows["code"]["own"], rows["password"]["own"]) == (True, False)
    assert "Rooster" in rows["password"]["text"]
    assert "no key is named 'nobody'" in cli("texts", "--key", "nobody")[2]
