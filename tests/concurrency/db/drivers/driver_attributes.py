"""What a holder can do to a connection of each driver, attribute by attribute.

``changes`` have to be undone, ``harmless`` attributes leave nothing behind that another
holder could meet. An attribute that is in neither is a new one: decide where it belongs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import psycopg2
import psycopg2.extras
import pymysql
import pymysql.cursors
from django.db.backends.postgresql.psycopg_any import is_psycopg3

_EXCEPTIONS = """
    DataError DatabaseError Error IntegrityError InterfaceError InternalError NotSupportedError
    OperationalError ProgrammingError Warning
"""


@dataclass(frozen=True)
class Attributes:
    """Of one driver."""

    #: Opens a connection of the driver's own class.
    connect: Callable[..., Any]
    #: By name: what a holder could do.
    changes: dict[str, Callable[[Any], object]]
    #: What does nothing that stays, or nothing but to the server, which is watched.
    harmless: str

    def unknown_of(self, raw: Any) -> set[str]:
        """Return the attributes of a connection of which nobody has thought."""
        known = {*self.changes, *_EXCEPTIONS.split(), *self.harmless.split()}
        return {name for name in dir(raw) if not name.startswith("_")} - known


def setting(name: str, value: object) -> tuple[str, Callable[[Any], object]]:
    """Return a change that sets an attribute."""
    return name, lambda raw: setattr(raw, name, value)


def _begin_in_two_phases(raw: Any) -> None:
    raw.autocommit = False
    raw.tpc_begin("mine")


def _psycopg3() -> Attributes:
    import psycopg
    from psycopg.rows import dict_row
    from psycopg.types.string import TextLoader

    return Attributes(
        psycopg.connect,
        changes=dict(
            [
                setting("autocommit", False),
                setting("cursor_factory", psycopg.ClientCursor),
                setting("deferrable", True),
                setting("isolation_level", psycopg.IsolationLevel.SERIALIZABLE),
                setting("prepare_threshold", 1),
                setting("prepared_max", 7),
                setting("read_only", True),
                setting("row_factory", dict_row),
                setting("server_cursor_factory", psycopg.ServerCursor),
                ("adapters", lambda raw: raw.adapters.register_loader("numeric", TextLoader)),
                ("add_notice_handler", lambda raw: raw.add_notice_handler(print)),
                ("add_notify_handler", lambda raw: raw.add_notify_handler(print)),
                ("pgconn", lambda raw: setattr(raw.pgconn, "notice_handler", print)),
                ("pipeline", lambda raw: raw.pipeline().__enter__()),
                ("set_autocommit", lambda raw: raw.set_autocommit(False)),
                ("set_deferrable", lambda raw: raw.set_deferrable(True)),
                ("set_isolation_level", lambda raw: raw.set_isolation_level(1)),
                ("set_read_only", lambda raw: raw.set_read_only(True)),
                ("tpc_begin", _begin_in_two_phases),
                ("transaction", lambda raw: raw.transaction().__enter__()),
            ]
        ),
        harmless="""
            broken cancel cancel_safe close closed commit connect connection cursor execute fileno
            info lock notifies remove_notice_handler remove_notify_handler rollback tpc_commit
            tpc_prepare tpc_recover tpc_rollback wait xid
        """,
    )


def _psycopg2() -> Attributes:
    text = psycopg2.extensions.UNICODE
    return Attributes(
        psycopg2.connect,
        changes=dict(
            [
                setting("autocommit", False),
                setting("cursor_factory", psycopg2.extras.DictCursor),
                setting("deferrable", True),
                setting("isolation_level", "SERIALIZABLE"),
                setting("readonly", True),
                ("binary_types", lambda raw: raw.binary_types.update({1: text})),
                ("notices", lambda raw: raw.notices.append("a secret")),
                ("notifies", lambda raw: raw.notifies.append("a secret")),
                ("set_client_encoding", lambda raw: raw.set_client_encoding("LATIN1")),
                ("set_isolation_level", lambda raw: raw.set_isolation_level(3)),
                ("set_session", lambda raw: raw.set_session(readonly=True, autocommit=True)),
                ("string_types", lambda raw: psycopg2.extensions.register_type(text, raw)),
                ("tpc_begin", _begin_in_two_phases),
            ]
        ),
        harmless="""
            async async_ cancel close closed commit cursor dsn encoding fileno get_backend_pid
            get_dsn_parameters get_native_connection get_parameter_status get_transaction_status
            info isexecuting lobject pgconn_ptr poll protocol_version reset rollback server_version
            status tpc_commit tpc_prepare tpc_recover tpc_rollback xid
        """,
    )


PYMYSQL = Attributes(
    pymysql.connect,
    changes=dict(
        [
            setting("bind_address", "127.0.0.2"),
            setting("charset", "latin1"),
            setting("client_flag", 0),
            setting("collation", "latin1_bin"),
            setting("connect_timeout", 1),
            setting("ctx", None),
            setting("cursorclass", pymysql.cursors.DictCursor),
            setting("db", "elsewhere"),
            setting("encoding", "latin1"),
            setting("host", "elsewhere"),
            setting("init_command", "SET @mine = 1"),
            setting("max_allowed_packet", 1024),
            setting("password", b"mine"),
            setting("port", 1),
            setting("server_public_key", b"mine"),
            setting("sql_mode", "ANSI"),
            setting("ssl", not None),
            setting("unix_socket", "/elsewhere"),
            setting("use_unicode", False),
            setting("user", "mine"),
            ("autocommit", lambda raw: raw.autocommit(False)),
            ("begin", lambda raw: raw.begin()),
            ("decoders", lambda raw: raw.decoders.update({3: float})),
            ("encoders", lambda raw: raw.encoders.pop(str)),
            ("select_db", lambda raw: raw.select_db("information_schema")),
            ("set_character_set", lambda raw: raw.set_character_set("latin1")),
            ("set_charset", lambda raw: raw.set_character_set("latin1")),
        ]
    ),
    harmless="""
        affected_rows autocommit_mode character_set_name close commit connect cursor escape
        get_autocommit get_host_info get_proto_info get_server_info host_info insert_id kill literal
        next_result open ping protocol_version query rollback salt server_capabilities
        server_charset server_language server_status server_thread_id server_version show_warnings
        thread_id write_packet
    """,
)


def _do_nothing(*_: object) -> int:
    return 0


def _open_blob(raw: Any) -> None:
    raw.execute("CREATE TABLE IF NOT EXISTS blobs (content blob)")
    row = raw.execute("INSERT INTO blobs VALUES (zeroblob(10))").lastrowid
    raw.blobopen("blobs", "content", row)


def _other_content() -> bytes:
    with closing(sqlite3.connect(":memory:")) as other:
        other.execute("CREATE TABLE mine (id int)")
        return other.serialize()


def _load_extension(raw: Any) -> None:
    with suppress(sqlite3.OperationalError):
        raw.load_extension("/no/such/file")


SQLITE = Attributes(
    lambda **_: sqlite3.connect(":memory:"),
    changes=dict(
        [
            setting("autocommit", False),
            setting("isolation_level", "EXCLUSIVE"),
            setting("row_factory", sqlite3.Row),
            setting("text_factory", bytes),
            ("blobopen", _open_blob),
            ("create_aggregate", lambda raw: raw.create_aggregate("mine", 0, object)),
            ("create_collation", lambda raw: raw.create_collation("mine", _do_nothing)),
            ("create_function", lambda raw: raw.create_function("mine", 0, _do_nothing)),
            ("create_window_function", lambda raw: raw.create_window_function("mine", 0, object)),
            ("deserialize", lambda raw: raw.deserialize(_other_content())),
            ("enable_load_extension", lambda raw: raw.enable_load_extension(True)),
            ("load_extension", _load_extension),
            ("set_authorizer", lambda raw: raw.set_authorizer(_do_nothing)),
            ("set_progress_handler", lambda raw: raw.set_progress_handler(_do_nothing, 1000)),
            ("set_trace_callback", lambda raw: raw.set_trace_callback(_do_nothing)),
            ("setconfig", lambda raw: raw.setconfig(sqlite3.SQLITE_DBCONFIG_DQS_DML, False)),
            ("setlimit", lambda raw: raw.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 9)),
        ]
    ),
    harmless="""
        backup close commit cursor execute executemany executescript getconfig getlimit
        in_transaction interrupt iterdump rollback serialize total_changes
    """,
)


BY_TARGET = {
    "postgresql": _psycopg3() if is_psycopg3 else _psycopg2(),
    "mariadb": PYMYSQL,
    "sqlite": SQLITE,
}
