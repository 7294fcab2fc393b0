"""What PyMySQL does not promise. It imports nothing of PyMySQL.

``concurrency.db.drivers.pymysql`` derives from its classes, and overrides the steps in
which they wait for the server.
"""

from __future__ import annotations

from concurrency.compat.names import Names

__all__ = ["NAMES", "TIMEOUTS"]

_CONNECTION = "pymysql.connections:Connection"
_RESULT = "pymysql.connections:MySQLResult"

NAMES = Names(
    "PyMySQL",
    f"{_CONNECTION}()._affected_rows",
    f"{_CONNECTION}()._closed",
    f"{_CONNECTION}()._read_timeout",
    f"{_CONNECTION}()._result",
    f"{_CONNECTION}()._rfile",
    f"{_CONNECTION}()._sock",
    f"{_CONNECTION}()._write_timeout",
    f"{_CONNECTION}._create_ssl_ctx(self, sslp)",
    f"{_CONNECTION}._execute_command(self, command, sql)",
    f"{_CONNECTION}._force_close(self)",
    f"{_CONNECTION}._read_ok_packet(self)",
    f"{_CONNECTION}._read_query_result(self, unbuffered=)",
    f"{_CONNECTION}._write_bytes(self, data)",
    f"{_RESULT}._check_packet_is_eof(self, packet)",
    f"{_RESULT}._finish_unbuffered_query(self)",
    f"{_RESULT}._read_rowdata_packet_unbuffered(self)",
    f"{_RESULT}.init_unbuffered_query(self)",
    f"{_RESULT}.read(self)",
    f"{_RESULT}().has_next",
    f"{_RESULT}().server_status",
    f"{_RESULT}().unbuffered_active",
    f"{_RESULT}().warning_count",
)

#: Attributes of a connection: seconds for which it waits for the server.
TIMEOUTS = ("_read_timeout", "_write_timeout")
