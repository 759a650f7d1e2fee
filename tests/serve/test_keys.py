"""API keys: hashed, named, revocable while a server runs."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from lema_ray.config import ConfigError
from serve.config import KeyLimits
from serve.keys import KeyRing, add_key, read_keys, revoke_key

NONE = KeyLimits()


def test_a_key_is_found_by_its_secret_and_stored_as_a_hash(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    secrets = [add_key(file, name, NONE) for name in ("anna", "ben")]
    ring = KeyRing(file)
    assert [ring.find(secret).name for secret in secrets] == ["anna", "ben"]  # type: ignore[union-attr]
    assert ring.find(secrets[0][:-1]) is None
    assert ring.find("") is None
    assert not any(secret in file.read_text() for secret in secrets)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_keys_are_added_and_revoked_while_a_server_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeyRing, "LOOK_EVERY_S", 0)
    file = tmp_path / "keys.yaml"
    anna = add_key(file, "anna", NONE)
    ring = KeyRing(file)
    ben = add_key(file, "ben", NONE)
    assert ring.find(ben) is not None
    revoke_key(file, "anna")
    assert ring.find(anna) is None and ring.find(ben) is not None
    file.write_text("[half")
    assert ring.find(ben) is not None
    file.unlink()
    assert ring.find(ben) is None


def test_own_limits_go_before_the_server_s(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    add_key(file, "anna", KeyLimits(requests_per_minute=3))
    [key] = read_keys(file)
    found = key.limits(KeyLimits(requests_per_minute=100, concurrency=7))
    assert (found.requests_per_minute, found.concurrency, found.tokens_per_minute) == (3, 7, None)


@pytest.mark.parametrize("text", ["[half", "- 3", "- {name: a}", "- {name: a, sha256: xyz}", "name: a"])
def test_a_broken_file_is_one_clear_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match="not a keys file"):
        read_keys(file)


def test_names_are_unique_and_known(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    with pytest.raises(ConfigError, match="no such keys file"):
        KeyRing(file)
    add_key(file, "anna", NONE)
    with pytest.raises(ConfigError, match="already"):
        add_key(file, "anna", NONE)
    with pytest.raises(ConfigError, match="no key named 'ben'; there are anna"):
        revoke_key(file, "ben")
