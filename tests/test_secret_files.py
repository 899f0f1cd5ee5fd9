"""The promises of `config.secret_files`: secrets are read from files, and an unreadable one stops the start."""

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
    """Create a folder of secrets for `OTP_SECRETS_DIR`, in a working directory that may get a `.env`."""
    made = tmp_path / "secrets"
    made.mkdir()
    monkeypatch.setenv("OTP_SECRETS_DIR", str(made))
    monkeypatch.chdir(tmp_path)
    return made


@contextmanager
def unprivileged():
    """Drop root's privileges for a while: root may read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def refusal(**values):
    """Return the message with which the settings are refused."""
    with pytest.raises(SettingsRefused) as refused:
        load_settings(**values)
    return str(refused.value)


def test_every_kind_of_setting_can_be_in_a_file(folder):
    """Secrets, lists, addresses, spans and switches are read from files named in upper or lower case, and stripped."""
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
    """Certificates, hidden folders and empty files in the folder change no setting."""
    plain = load_settings()
    (folder / "tls.crt").write_bytes(b"\xff\xfe")
    (folder / "..data").mkdir()
    (folder / "otp_index_key").write_text("\n")
    (folder / "otp_secrets_dir").write_text("/nowhere")
    assert load_settings() == plain


def test_symbolic_links_are_followed(folder):
    """A file behind two symbolic links, as Kubernetes mounts a secret, is read; so is one in another folder."""
    (folder / "..2026").mkdir()
    (folder / "..2026" / "otp_brand").write_text("Rooster")
    (folder / "..data").symlink_to("..2026")
    (folder / "otp_brand").symlink_to("..data/otp_brand")
    elsewhere = folder.parent / "country"
    elsewhere.write_text("FR")
    (folder / "otp_countries").symlink_to(elsewhere)
    assert (load_settings().otp_brand, load_settings().otp_countries) == ("Rooster", ("FR",))


def test_an_empty_variable_does_not_override_a_file(folder, monkeypatch):
    """An empty `OTP_INDEX_KEY=` in `.env` or in the environment does not override the file."""
    (folder / "otp_index_key").write_text(NEW)
    (folder.parent / ".env").write_text("OTP_INDEX_KEY=\n")
    assert load_settings().otp_index_key.get_secret_value() == NEW
    monkeypatch.setenv("OTP_INDEX_KEY", "")
    assert load_settings().otp_index_key.get_secret_value() == NEW


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_different_values_for_one_setting_stop_the_start(folder, monkeypatch, place):
    """A key rotated in the file but not in the environment would not take effect, so the start stops."""
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


def test_the_same_value_twice_is_accepted(folder, monkeypatch):
    """The same value in the file and in the environment is accepted."""
    (folder / "otp_brand").write_text("Rooster\n")
    monkeypatch.setenv("OTP_BRAND", "Rooster")
    assert load_settings().otp_brand == "Rooster"


def test_two_spellings_of_one_name_stop_the_start(folder):
    """`otp_brand` and `OTP_BRAND` in one folder stop the start: neither is preferred."""
    (folder / "otp_brand").write_text("One")
    (folder / "OTP_BRAND").write_text("Two")
    assert refusal().startswith("OTP_BRAND: two files in ")


def test_a_wrong_value_in_a_file_is_refused_like_any_other(folder):
    """A value in a file is validated like any other, and not repeated in the message."""
    (folder / "otp_code_ttl").write_text("11m-of-secrecy")
    assert refusal().startswith("OTP_CODE_TTL: ")
    assert "secrecy" not in refusal()


def test_a_folder_in_place_of_a_file_stops_the_start(folder):
    """A folder in place of a secret, which Docker creates for a missing source, is reported."""
    (folder / "otp_index_key").mkdir()
    assert refusal() == f"OTP_INDEX_KEY: {folder / 'otp_index_key'} cannot be read (Is a directory)."


def test_a_dangling_link_stops_the_start(folder):
    """A symbolic link whose target is missing stops the start."""
    (folder / "otp_index_key").symlink_to(folder / "gone")
    assert refusal().endswith("otp_index_key cannot be read (No such file or directory).")


def test_a_binary_file_stops_the_start_and_is_not_shown(folder):
    """A binary key is refused in a message that contains none of it."""
    (folder / "otp_index_key").write_bytes(b"\xc3\x28" * 16)
    assert refusal() == f"OTP_INDEX_KEY: {folder / 'otp_index_key'} cannot be read (it is not UTF-8 text)."


def test_an_unreadable_file_stops_the_start(monkeypatch):
    """A secret that this user may not read is reported with its path and the reason."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "otp_index_key").touch(mode=0)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("OTP_SECRETS_DIR", name)
        with unprivileged():
            sentence = refusal()
    assert sentence == f"OTP_INDEX_KEY: {folder / 'otp_index_key'} cannot be read (Permission denied)."


def test_the_configured_folder_must_exist(monkeypatch, tmp_path):
    """A mistyped folder stops the start, and its name is not shown: a secret may have been pasted there."""
    monkeypatch.setenv("OTP_SECRETS_DIR", str(tmp_path / "mistyped"))
    sentence = refusal()
    assert sentence.startswith("OTP_SECRETS_DIR: the folder it names cannot be listed (No such file or directory). ")
    assert "mistyped" not in sentence


def test_the_folder_can_be_named_in_the_env_file(folder, monkeypatch):
    """`.env` may set `OTP_SECRETS_DIR`; the environment takes precedence."""
    (folder / "otp_brand").write_text("Rooster")
    monkeypatch.delenv("OTP_SECRETS_DIR")
    (folder.parent / ".env").write_text(f"OTP_SECRETS_DIR={folder}\n")
    assert load_settings().otp_brand == "Rooster"
    (folder.parent / "empty").mkdir()
    monkeypatch.setenv("OTP_SECRETS_DIR", str(folder.parent / "empty"))
    assert load_settings().otp_brand == "Acme"


def test_the_default_folder_is_read_if_it_exists(folder, monkeypatch):
    """Without `OTP_SECRETS_DIR`, `/run/secrets` is read if it exists."""
    assert str(secret_files.USUAL_FOLDER) == "/run/secrets"
    (folder / "otp_brand").write_text("Rooster")
    monkeypatch.setenv("OTP_SECRETS_DIR", "")
    monkeypatch.setattr(secret_files, "USUAL_FOLDER", folder)
    assert load_settings().otp_brand == "Rooster"
    monkeypatch.setattr(secret_files, "USUAL_FOLDER", folder / "none")
    assert load_settings().otp_brand == "Acme"


def test_the_demo_reads_no_files(folder):
    """Isolated settings read no file, so a demo never sends with real credentials."""
    (folder / "otp_brand").write_text("Mallory")
    (folder / "otp_code_length").mkdir()
    assert isolated_settings(otp_secrets_dir=str(folder)).otp_brand == "Acme"


def test_printed_settings_show_no_secret_of_a_file(folder):
    """Printed settings hide secrets from files like any others."""
    hidden = {name: secrets.token_hex(20) for name in ("otp_index_key", "otp_secret_keys", "twilio_auth_token")}
    for name, text in hidden.items():
        (folder / name).write_text(text)
    shown = repr(load_settings()) + str(load_settings())
    assert not [text for text in hidden.values() if text in shown]
