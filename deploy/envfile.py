"""The file `.env` as text: made from its template, read and changed line by line.

Owns how `.env` is written. Must not know Django: what the keys mean is `settings.environment`'s.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENV_FILE = ROOT / ".env"
TEMPLATE = ROOT / ".env.template"
FOR_DEVELOPMENT = {"ENVIRONMENT": "settings.development", "DEBUG": "true"}


def value_of(key: str, path: Path = ENV_FILE) -> str:
    """Return the value of `key`: of the environment, else of the file, else an empty string.

    The environment is asked first, as the settings do, so that both always agree.
    """
    return os.environ.get(key, read(path).get(key, ""))


def read(path: Path = ENV_FILE) -> dict[str, str]:
    """Return the keys and values of an env file; empty when there is none."""
    if not path.is_file():
        return {}
    pairs = (_parse(line) for line in path.read_text(encoding="utf-8").splitlines())
    return dict(pair for pair in pairs if pair is not None)


def write(values: Mapping[str, str], path: Path = ENV_FILE) -> None:
    """Set keys in an env file, keeping its other lines, readable by its owner alone.

    The file is replaced in one step: a reader sees the old one or the new one, never a half.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    write_private(path, _changed(text, values))


def create(path: Path = ENV_FILE, template: Path = TEMPLATE) -> bool:
    """Make `.env` for development from its template; True when there was none."""
    if path.exists():
        return False
    filled = {**FOR_DEVELOPMENT, "SECRET_KEY": secrets.token_urlsafe(50)}
    write_private(path, _changed(template.read_text(encoding="utf-8"), filled))
    return True


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; only its owner can read it (mode 600)."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def _changed(text: str, values: Mapping[str, str]) -> str:
    for key, value in values.items():
        line = f"{key}={value}"
        pattern = re.compile(rf"^{re.escape(key)}=.*$", re.MULTILINE)
        if pattern.search(text):
            text = pattern.sub(line.replace("\\", r"\\"), text)
        else:
            text += ("" if not text or text.endswith("\n") else "\n") + line + "\n"
    return text


def _parse(line: str) -> tuple[str, str] | None:
    key, separator, value = line.strip().removeprefix("export ").partition("=")
    if not separator or key.startswith("#"):
        return None
    value = value.strip()
    for quote in "'\"":
        if len(value) > 1 and value[0] == value[-1] == quote:
            value = value[1:-1]
    return key.strip(), value
