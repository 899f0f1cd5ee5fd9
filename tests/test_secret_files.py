"""The promises of `config.secret_files`: a secret in a file counts, and one that cannot count stops the start."""

import os
import secrets
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.config import secret_files
from service.config.settings import SettingsRefused, isolated_settings, load_settings

NEW, OLD = "4f9c1d7e" * 4 + "-new", "4f9c1d7e" * 4 + "-old"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Make a folder of secrets that `OTP_SECRETS_DIR` names, in a working folder that may get a `.env`."""
    made = tmp_path / "secrets"
    made.mkdir()
    monkeypatch.setenv("OTP_SECRETS_DIR", str(made))
    monkeypatch.chdir(tmp_path)
    return made


@contextmanager
def unprivileged():
    """Be nobody for a while, where root runs the tests: root may read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def refusal(**values):
    """Give the sentence with which the settings are refused."""
    with pytest.raises(SettingsRefused) as refused:
        load_settings(**values)
    return str(refused.value)


def test_every_kind_of_setting_can_be_in_a_file(folder):
    """Secrets, lists of them, addresses, spans and switches are read from files named in either case, trimmed."""
    for name, text in {
        "otp_index_key": "an index key of a length that will do\n",
        "OTP_SECRET_KEYS": f"{NEW},{OLD}\r\n",
        "redis_url": "redis://otp:pass@redis:6379/0\n",
        "otp_code_ttl": " 90s",
        "otp_docs": "false\n",
    }.items():
        (folder / name).write_text(text, "utf-8")
    got = load_settings()
    assert got.otp_index_key.get_secret_value() == "an index key of a length that will do"
    assert [key.get_secret_value() for key in got.otp_secret_keys] == [NEW, OLD]
    assert (got.redis_url, got.otp_code_ttl, got.otp_docs) == ("redis://otp:pass@redis:6379/0", 90, False)


def test_other_files_and_empty_ones_set_nothing(folder):
    """A folder may hold certificates, hidden folders and empty files: they change no setting."""
    plain = load_settings()
    (folder / "tls.crt").write_bytes(b"\xff\xfe")
    (folder / "..data").mkdir()
    (folder / "otp_index_key").write_text("\n")
    (folder / "otp_secrets_dir").write_text("/nowhere")
    assert load_settings() == plain


def test_links_are_followed_as_kubernetes_lays_them(folder):
    """A file behind two links, as Kubernetes mounts a secret, is read like any other; so is one in another folder."""
    (folder / "..2026").mkdir()
    (folder / "..2026" / "otp_brand").write_text("Rooster")
    (folder / "..data").symlink_to("..2026")
    (folder / "otp_brand").symlink_to("..data/otp_brand")
    elsewhere = folder.parent / "country"
    elsewhere.write_text("FR")
    (folder / "otp_countries").symlink_to(elsewhere)
    assert (load_settings().otp_brand, load_settings().otp_countries) == ("Rooster", ("FR",))


def test_an_empty_line_does_not_hide_a_file(folder, monkeypatch):
    """A copied `.env` says `OTP_INDEX_KEY=` and a container may say so too: the file counts all the same."""
    (folder / "otp_index_key").write_text(NEW)
    (folder.parent / ".env").write_text("OTP_INDEX_KEY=\n")
    assert load_settings().otp_index_key.get_secret_value() == NEW
    monkeypatch.setenv("OTP_INDEX_KEY", "")
    assert load_settings().otp_index_key.get_secret_value() == NEW


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_two_values_for_one_setting_stop_the_start(folder, monkeypatch, place):
    """A key rotated in the file and left in the environment would change nothing: the start stops instead."""
    old, new = secrets.token_hex(16), secrets.token_hex(16)
    (folder / "twilio_auth_token").write_text(new)
    if place == ".env":
        (folder.parent / ".env").write_text(f"TWILIO_AUTH_TOKEN={old}\n")
    else:
        monkeypatch.setenv("TWILIO_AUTH_TOKEN", old)
    sentence = refusal()
    assert sentence.startswith("TWILIO_AUTH_TOKEN: ")
    assert sentence.endswith(" Keep one.")
    assert old not in sentence
    assert new not in sentence


def test_the_same_value_twice_is_no_contradiction(folder, monkeypatch):
    """Whoever says the same in both places has said one thing."""
    (folder / "otp_brand").write_text("Rooster\n")
    monkeypatch.setenv("OTP_BRAND", "Rooster")
    assert load_settings().otp_brand == "Rooster"


def test_two_spellings_of_one_name_stop_the_start(folder):
    """`otp_brand` and `OTP_BRAND` side by side: neither is preferred."""
    (folder / "otp_brand").write_text("One")
    (folder / "OTP_BRAND").write_text("Two")
    assert refusal().startswith("OTP_BRAND: two files in ")


def test_a_wrong_value_in_a_file_is_refused_like_any_other(folder):
    """What a file says passes the same rules, and is not repeated in the sentence."""
    (folder / "otp_code_ttl").write_text("11m-of-secrecy")
    assert refusal().startswith("OTP_CODE_TTL: ")
    assert "secrecy" not in refusal()


def test_what_is_no_file_stops_the_start(folder):
    """A folder in a secret's place is what Docker makes of a source that is missing: it is said, not passed over."""
    (folder / "otp_index_key").mkdir()
    assert refusal() == f"OTP_INDEX_KEY: {folder / 'otp_index_key'} cannot be read (Is a directory)."


def test_a_link_to_nothing_stops_the_start(folder):
    """A link whose target is gone is a secret that is not there."""
    (folder / "otp_index_key").symlink_to(folder / "gone")
    assert refusal().endswith("otp_index_key cannot be read (No such file or directory).")


def test_what_is_no_text_stops_the_start_without_a_byte_of_it(folder):
    """A binary key is refused in a sentence that shows none of it."""
    (folder / "otp_index_key").write_bytes(b"\xc3\x28" * 16)
    assert refusal() == f"OTP_INDEX_KEY: {folder / 'otp_index_key'} cannot be read (it is not UTF-8 text)."


def test_a_file_of_somebody_else_stops_the_start(monkeypatch):
    """A secret that this user may not read is said with its path and the reason."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "otp_index_key").touch(mode=0)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("OTP_SECRETS_DIR", name)
        with unprivileged():
            sentence = refusal()
    assert sentence == f"OTP_INDEX_KEY: {folder / 'otp_index_key'} cannot be read (Permission denied)."


def test_a_folder_that_is_named_must_exist(monkeypatch, tmp_path):
    """A mistyped folder is no folder without secrets; and should a secret be named in its stead, it is not shown."""
    monkeypatch.setenv("OTP_SECRETS_DIR", str(tmp_path / "mistyped"))
    sentence = refusal()
    assert sentence.startswith("OTP_SECRETS_DIR: the folder it names cannot be listed (No such file or directory). ")
    assert "mistyped" not in sentence


def test_the_folder_can_be_named_in_the_env_file(folder, monkeypatch):
    """`OTP_SECRETS_DIR` is a setting like others: `.env` may name it, and the environment is asked first."""
    (folder / "otp_brand").write_text("Rooster")
    monkeypatch.delenv("OTP_SECRETS_DIR")
    (folder.parent / ".env").write_text(f"OTP_SECRETS_DIR={folder}\n")
    assert load_settings().otp_brand == "Rooster"
    (folder.parent / "empty").mkdir()
    monkeypatch.setenv("OTP_SECRETS_DIR", str(folder.parent / "empty"))
    assert load_settings().otp_brand == "Acme"


def test_the_usual_folder_is_read_when_there_is_one(folder, monkeypatch):
    """With nothing named, `/run/secrets` is read if it exists, and nobody asks for it if not."""
    assert str(secret_files.USUAL_FOLDER) == "/run/secrets"
    (folder / "otp_brand").write_text("Rooster")
    monkeypatch.setenv("OTP_SECRETS_DIR", "")
    monkeypatch.setattr(secret_files, "USUAL_FOLDER", folder)
    assert load_settings().otp_brand == "Rooster"
    monkeypatch.setattr(secret_files, "USUAL_FOLDER", folder / "none")
    assert load_settings().otp_brand == "Acme"


def test_the_demo_hears_nothing_of_files(folder):
    """Isolated settings read no file, neither named nor usual: a demo never sends with real credentials."""
    (folder / "otp_brand").write_text("Mallory")
    (folder / "otp_code_length").mkdir()
    assert isolated_settings(otp_secrets_dir=str(folder)).otp_brand == "Acme"


def test_printed_settings_show_no_secret_of_a_file(folder):
    """Where a secret came from makes no difference: its text is in no print of the settings."""
    hidden = {name: secrets.token_hex(20) for name in ("otp_index_key", "otp_secret_keys", "twilio_auth_token")}
    for name, text in hidden.items():
        (folder / name).write_text(text)
    shown = repr(load_settings()) + str(load_settings())
    assert not [text for text in hidden.values() if text in shown]
