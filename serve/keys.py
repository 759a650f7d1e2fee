"""API keys: several, named, revocable while the server runs, stored as hashes.

The file is YAML, an entry per key: `name`, `sha256`, `created`, and limits of its own where it has them. `lema keys`
writes it; every replica reads it again when it changes. Keys are random (256 bits), so a plain hash of one cannot be
guessed backwards.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import time
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from lema_ray.config import ConfigError
from serve.config import KeyLimits

log = logging.getLogger("lema_ray.serve")


class Key(KeyLimits):
    """One entry of the keys file."""

    name: str = Field(min_length=1, max_length=64)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    created: str = ""

    def limits(self, default: KeyLimits) -> KeyLimits:
        """Its own limits, and the default where it has none."""
        own = {name: getattr(self, name) for name in KeyLimits.model_fields}
        return KeyLimits(**{name: getattr(default, name) if own[name] is None else own[name] for name in own})


def read_keys(path: str | Path) -> list[Key]:
    """All keys of a file. Raises `ConfigError`."""
    try:
        entries = yaml.safe_load(Path(path).read_text())
        keys = [Key.model_validate(entry) for entry in entries or ()]
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such keys file; `lema keys add NAME --file {path}` makes one") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError, TypeError) as error:
        raise ConfigError(f"{path}: not a keys file: {error}") from None
    if len({key.name for key in keys}) < len(keys):
        raise ConfigError(f"{path}: two keys have one name")
    return keys


def add_key(path: str | Path, name: str, limits: KeyLimits) -> str:
    """Add a key of that name; the key itself, which is stored nowhere. Raises `ConfigError`."""
    keys = read_keys(path) if Path(path).exists() else []
    if any(key.name == name for key in keys):
        raise ConfigError(f"{path}: there is a key named {name!r} already; revoke it first")
    secret = "lema-" + secrets.token_urlsafe(32)
    key = Key(
        name=name, sha256=_hash(secret), created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **_set(limits)
    )
    _write(Path(path), [*keys, key])
    return secret


def revoke_key(path: str | Path, name: str) -> None:
    """Take a key out of the file; servers refuse it within a second. Raises `ConfigError`."""
    keys = read_keys(path)
    kept = [key for key in keys if key.name != name]
    if len(kept) == len(keys):
        raise ConfigError(f"{path}: no key named {name!r}; there are {', '.join(k.name for k in keys) or 'none'}")
    _write(Path(path), kept)


class KeyRing:
    """The keys of a file as a server sees them: read again when the file changes, looked at once a second."""

    LOOK_EVERY_S = 1.0

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._keys = read_keys(path)
        self._stamp = self._stat()
        self._looked = time.monotonic()

    def find(self, secret: str) -> Key | None:
        """Whose key this is. Every entry is compared, in constant time."""
        self._look()
        presented, found = _hash(secret), None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, presented):
                found = key
        return found

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < self.LOOK_EVERY_S:
            return
        self._looked = now
        if (stamp := self._stat()) == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = read_keys(self.path) if stamp else []
        except ConfigError as error:
            # Somebody is editing it: the keys of a moment ago stay good, as nobody can have meant to revoke all.
            log.error("%s; going on with the keys read before", error)

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _set(limits: KeyLimits) -> dict[str, Any]:
    return limits.model_dump(exclude_none=True)


def _write(path: Path, keys: list[Key]) -> None:
    """Whole or not at all, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    text = yaml.safe_dump([key.model_dump(exclude_none=True) for key in keys], sort_keys=False)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    part.replace(path)
