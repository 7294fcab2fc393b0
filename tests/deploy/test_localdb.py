"""The local PostgreSQL: real servers, as `python -m deploy.localdb` starts them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from deploy import binaries
from deploy.binaries import LocalDatabaseError, ServerUser, own_folder
from deploy.localdb import STOPPED, LocalPostgres

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")


def localdb(
    verb: str, home: Path, *options: str, **environment: str
) -> subprocess.CompletedProcess:
    """Run the command line as a user would."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "deploy.localdb", verb, "--data", home, *options],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def started(home: Path, *options: str, **environment: str) -> str:
    """Start a server and return its URL."""
    answer = localdb("start", home, *options, **environment)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def ask(url: str, statement: str) -> object:
    """Return the first value that a statement gives, or None."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder for a server, whose server and data are gone afterwards."""
    folder = tmp_path / "server"
    yield folder
    LocalPostgres(folder).delete()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPostgres]:
    """A server that runs, for tests that only look at it."""
    server = LocalPostgres(tmp_path_factory.mktemp("shared") / "server")
    assert server.start()
    yield server
    server.delete()


@pytest.fixture
def server(home: Path) -> LocalPostgres:
    """A server that runs, of the test's own."""
    server = LocalPostgres(home)
    assert server.start()
    return server


def test_start_prints_the_url_alone_and_it_works(home: Path) -> None:
    """Standard output of `start` is a URL that one can connect to, and nothing else."""
    answer = localdb("start", home)
    assert answer.returncode == 0
    assert answer.stdout.count("\n") == 1
    assert answer.stdout.startswith("postgres://concurrency:")
    assert ask(answer.stdout.strip(), "SELECT current_database()") == "concurrency"
    assert "started" in answer.stderr


def test_status_and_url_follow_the_server(home: Path) -> None:
    """`status` and `url` exit with 3 unless the server runs."""
    assert localdb("status", home).returncode == STOPPED
    url = started(home)
    assert localdb("status", home).stdout.startswith("running on 127.0.0.1:")
    assert localdb("url", home).stdout.strip() == url
    assert localdb("stop", home).returncode == 0
    assert localdb("status", home).returncode == STOPPED
    assert localdb("url", home).returncode == STOPPED


@pytest.mark.parametrize(
    "login", ["concurrency", "concurrency:wrong", "postgres", "postgres:postgres"]
)
def test_nobody_gets_in_without_the_password(shared: LocalPostgres, login: str) -> None:
    """Neither the role nor the superuser can log in without a password or with a guessed one."""
    url = f"postgres://{login}@127.0.0.1:{shared.record.port}/postgres"
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url, passfile="/dev/null")


def test_the_server_is_what_the_design_says(shared: LocalPostgres) -> None:
    """It listens on loopback alone, says how many connections fit, and the role makes databases."""
    assert ask(shared.url, "SHOW listen_addresses") == "127.0.0.1"
    lines = (shared._cluster().data / "postmaster.pid").read_text().splitlines()
    assert lines[4:6] == ["", "127.0.0.1"]  # no folder for sockets, and one address
    assert ask(shared.url, "SHOW max_connections") == "200"
    assert ask(shared.url, "SHOW fsync") == "on"
    assert ask(shared.url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    ask(shared.url, "CREATE DATABASE another")


def test_its_secrets_are_for_their_owner_alone(shared: LocalPostgres) -> None:
    """The file with the password is readable by its owner alone, and so is its folder."""
    assert stat.S_IMODE((shared.home / "server.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(shared.home.stat().st_mode) == 0o700


def test_a_folder_that_was_there_keeps_its_mode_and_owner(home: Path) -> None:
    """Neither the server's folder, if it was there, nor the one above it is changed."""
    home.mkdir(mode=0o750)
    home.chmod(0o751)
    before = [(path.stat().st_mode, path.stat().st_uid) for path in (home, home.parent)]
    started(home, "--temporary")
    assert before == [(path.stat().st_mode, path.stat().st_uid) for path in (home, home.parent)]


def test_starting_twice_is_starting_once(shared: LocalPostgres) -> None:
    """A second start finds the server and leaves it alone."""
    pid = shared._cluster().running().pid
    answer = localdb("start", shared.home)
    assert answer.returncode == 0
    assert "already" in answer.stderr
    assert answer.stdout.strip() == shared.url
    assert shared._cluster().running().pid == pid


def test_many_who_start_at_once_get_the_same_server(home: Path) -> None:
    """Of processes that start the same server at once, one does, and all get its URL."""
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: localdb("start", home), range(4)))
    assert [answer.returncode for answer in answers] == [0, 0, 0, 0]
    assert len({answer.stdout for answer in answers}) == 1
    assert sorted("already" in answer.stderr for answer in answers) == [False, True, True, True]


def test_data_survive_stop_and_start(server: LocalPostgres) -> None:
    """What was written is there after a stop and a start, at the same address."""
    url = server.url
    ask(url, "CREATE TABLE kept AS SELECT 7 AS x")
    assert server.stop()
    assert not server.running
    assert started(server.home) == url
    assert ask(url, "SELECT x FROM kept") == 7


def test_a_killed_server_starts_again(server: LocalPostgres) -> None:
    """After SIGKILL, which leaves its files behind, it counts as stopped and starts again."""
    url = server.url
    ask(url, "CREATE TABLE kept AS SELECT 7 AS x")
    os.kill(server._cluster().running().pid, signal.SIGKILL)
    assert localdb("status", server.home).returncode == STOPPED
    assert started(server.home) == url
    assert ask(url, "SELECT x FROM kept") == 7


def test_a_stranger_with_the_dead_servers_number_does_not_matter(server: LocalPostgres) -> None:
    """After a reboot the number in the file may be another process of the server's own user."""
    os.kill(server._cluster().running().pid, signal.SIGKILL)
    file = server._cluster().data / "postmaster.pid"
    user = binaries.server_user()
    with subprocess.Popen(["sleep", "60"], user=user.uid, group=user.gid, cwd="/") as stranger:
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join([f"{stranger.pid}\n", *lines[1:]]))
        assert not server.running
        assert server.start()
        stranger.kill()


def test_a_taken_port_is_left_to_whom_it_belongs(server: LocalPostgres) -> None:
    """When somebody took its port meanwhile, it takes another, and remembers that one."""
    port = server.record.port
    server.stop()
    with socket.create_server(("127.0.0.1", port)):
        url = started(server.home)
        assert f":{port}/" not in url
        assert ask(url, "SELECT 1") == 1
        assert localdb("url", server.home).stdout.strip() == url


def test_a_temporary_server_leaves_nothing(home: Path) -> None:
    """Stopping a temporary server deletes its data; it was allowed to be unsafe."""
    url = started(home, "--temporary")
    assert ask(url, "SHOW fsync") == "off"
    data = LocalPostgres(home)._cluster().folder
    assert data.is_dir()
    assert localdb("stop", home).returncode == 0
    assert not data.exists()
    assert not (home / "server.json").exists()


def test_what_was_made_to_be_kept_is_never_temporary(server: LocalPostgres) -> None:
    """`--temporary` on data that were made to be kept does not put them at risk."""
    server.stop()
    url = started(server.home, "--temporary")
    assert ask(url, "SHOW fsync") == "on"
    assert localdb("stop", server.home, "--temporary").returncode == 0
    assert server._cluster().exists


def test_another_password_is_taken_over(server: LocalPostgres) -> None:
    """Another password, as after a new `.env`, becomes the role's, and the data stay."""
    ask(server.url, "CREATE TABLE kept AS SELECT 7 AS x")
    other = LocalPostgres(server.home, password="it's /another")
    assert other.start()
    assert ask(other.url, "SELECT x FROM kept") == 7


def test_a_lost_record_does_not_lose_the_data(server: LocalPostgres) -> None:
    """Without its record the server gets a new password, and the data stay."""
    ask(server.url, "CREATE TABLE kept AS SELECT 7 AS x")
    (server.home / "server.json").unlink()
    assert ask(started(server.home), "SELECT x FROM kept") == 7


def test_a_damaged_record_is_named(server: LocalPostgres) -> None:
    """A record that cannot be read is an error that names the file."""
    server.stop()
    record = (server.home / "server.json").read_text()
    (server.home / "server.json").write_text("{")
    answer = localdb("start", server.home)
    assert answer.returncode == 1
    assert str(server.home / "server.json") in answer.stderr
    (server.home / "server.json").write_text(record)
    assert json.loads(record)["port"]


def test_data_of_another_version_are_named(server: LocalPostgres) -> None:
    """Data that another major version made are refused, with both versions in the message."""
    server.stop()
    (server._cluster().data / "PG_VERSION").write_text("9\n")
    answer = localdb("start", server.home)
    assert answer.returncode == 1
    assert "made by PostgreSQL 9" in answer.stderr


def test_an_interrupted_beginning_is_forgotten(home: Path) -> None:
    """What an interrupted initdb left behind does not hinder the next start."""
    cluster = LocalPostgres(home)._cluster()
    home.mkdir()
    own_folder(cluster.folder, binaries.server_user(), 0o700)
    (cluster.folder / "data.new").mkdir()
    (cluster.folder / "data.new" / "PG_VERSION").write_text("18\n")
    assert ask(started(home), "SELECT 1") == 1


def test_variables_of_another_postgresql_do_not_matter(home: Path) -> None:
    """PGDATA, PGPORT and the like, set for another server, change nothing."""
    url = started(home, PGDATA="/nowhere", PGPORT="1", PGHOST="example.org", LC_ALL="xx_YY")
    assert ask(url, "SELECT 1") == 1
    assert LocalPostgres(home)._cluster().exists


def test_as_a_context_manager_it_stops_what_it_started(home: Path) -> None:
    """Leaving the block stops the server, unless it ran before."""
    with LocalPostgres(home, temporary=True) as outer:
        with LocalPostgres(home) as inner:
            assert inner.url == outer.url
        assert outer.running
    assert not outer.running


def test_it_is_neither_patched_nor_configured() -> None:
    """Importing it imports neither Django nor gevent nor the library."""
    code = (
        "import sys, deploy.localdb, deploy.run;"
        "sys.exit(bool({'django', 'gevent', 'concurrency', 'settings'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@as_root
def test_root_lends_it_another_user(shared: LocalPostgres) -> None:
    """Started by root, the server runs as an unprivileged user who owns the data."""
    pid = shared._cluster().running().pid
    owner = Path(f"/proc/{pid}").stat().st_uid
    assert owner == binaries.server_user().uid != 0
    assert shared._cluster().data.stat().st_uid == owner
    groups = Path(f"/proc/{pid}/status").read_text().split("Groups:")[1].splitlines()[0]
    assert groups.split() in ([], [str(binaries.server_user().gid)])


@as_root
def test_programs_out_of_reach_are_copied(home: Path, tmp_path: Path) -> None:
    """Where the unprivileged user cannot reach the wheel, a copy is used, and is root's own."""
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    wheel = Path(binaries._installations()[0]).parents[1]
    for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        shutil.copytree(part, hidden / part.name, symlinks=True, copy_function=os.link)
    url = started(home, "--temporary", PYTHONPATH=str(hidden))
    assert ask(url, "SELECT 1") == 1
    pid = LocalPostgres(home)._cluster().running().pid
    program = Path(f"/proc/{pid}/exe").resolve()
    assert program.is_relative_to(binaries.SHARED_FOLDER)
    assert {path.stat().st_uid for path in program.parents[3].rglob("*")} == {0}
    assert stat.S_IMODE(hidden.stat().st_mode) == 0o700


@as_root
def test_a_folder_that_somebody_else_put_there_is_refused(tmp_path: Path) -> None:
    """A folder of another user, one open to others, and a link are not trusted."""
    user = binaries.server_user()
    foreign, link = tmp_path / "foreign", tmp_path / "link"
    foreign.mkdir(mode=0o700)
    link.symlink_to(foreign)
    open_to_all = own_folder(tmp_path / "open", user, 0o700)
    open_to_all.chmod(0o770)
    for path in (foreign, link, open_to_all):
        with pytest.raises(LocalDatabaseError, match=str(path)):
            own_folder(path, user, 0o700)
    assert own_folder(foreign, ServerUser(), 0o700) == foreign
