"""``Protocol``: HTTP/1 as one worker speaks it: its limits, its hooks, its answers.

Between a connection, which knows bytes, and the WSGI application.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable
from datetime import datetime
from typing import Any

import gevent
from gunicorn.config import PostRequest, PreRequest
from gunicorn.http.wsgi import base_environ
from gunicorn.sock import ssl_context

from concurrency.server.worker.answers import has_one_chunk, is_complete
from concurrency.server.worker.gate import Gate
from concurrency.server.worker.http1 import proxy
from concurrency.server.worker.http1.body import Store
from concurrency.server.worker.http1.connection import Connection
from concurrency.server.worker.http1.connections import Connections
from concurrency.server.worker.http1.files import send_file
from concurrency.server.worker.http1.limits import Limits
from concurrency.server.worker.http1.refusals import Refusal
from concurrency.server.worker.http1.request import Request
from concurrency.server.worker.http1.response import Response
from concurrency.server.worker.http1.rules import Rules
from concurrency.server.worker.shutdown import is_gone
from concurrency.server.worker.takeover import Handle
from concurrency.server.worker.unsent import Unsent

__all__ = ["Protocol"]

logger = logging.getLogger("concurrency.server")


class Protocol:
    """HTTP/1 for the clients of one worker.

    Args:
        worker: ours, prepared.
        limits: how long and how slow clients may be.
        unsent: counts the bytes of responses that wait for slow clients.
        store: where bodies are kept.
        body: bytes that a body may have; None for any number.
    """

    def __init__(
        self,
        worker: Any,
        limits: Limits,
        unsent: Unsent,
        *,
        store: Store,
        body: int | None = None,
    ) -> None:
        cfg = worker.cfg
        self.worker = worker
        self.connections: Connections = worker.connections
        self.unsent = unsent
        self._gate: Gate = worker.concurrency.gate
        self.tls: ssl.SSLContext | None = ssl_context(cfg) if cfg.is_ssl else None
        self.limits = limits
        self.rules = Rules.of(cfg, body=body)
        self.store = store
        self._pre_request = _chosen(cfg.pre_request, PreRequest)
        self._post_request = _chosen(cfg.post_request, PostRequest)
        self._logs = bool(getattr(worker.log, "access_log_enabled", True))
        self._sendfile = cfg.sendfile is not False and not cfg.is_ssl
        self.has_proxy = cfg.proxy_protocol != "off"
        self.template = base_environ(cfg) | {
            "wsgi.multithread": True,
            "SCRIPT_NAME": os.environ.get("SCRIPT_NAME", ""),
        }
        self._files: Any = self.template["wsgi.file_wrapper"]

    # Connections

    def handle(self, name: Any, sock: Any, peer: Any) -> None:
        """Serve one client until its connection ends.

        Args:
            name: the address of the listener.
            sock: the client's socket, cooperative and without a timeout.
            peer: the client's address.
        """
        connection = Connection(sock, peer, self, _own(name, peer))
        self.connections.add(connection)
        try:
            connection.serve()
        except gevent.GreenletExit:
            pass  # the worker ends
        except OSError as error:
            if not is_gone(error):
                logger.exception("the connection of %s failed", peer)
        finally:
            self.connections.discard(connection)
            connection.sock.close()

    def begun(
        self, data: bytes, peer: Any, receive: Callable[[], bytes]
    ) -> tuple[dict[str, Any], bytes]:
        """Return what precedes the first request on a connection, and what is left of it."""
        return proxy.read(self.worker.cfg, peer, data, receive)

    def refuses_work(self) -> Refusal | None:
        """Return why a body is not read, if the gate would not let its request in."""
        if self._gate.sheds():
            self._gate.shed += 1
            return Refusal(503, "The server has more to do than it can. Try again in a moment.")
        return None

    def refused(self, connection: Connection, refusal: Refusal) -> None:
        """Take note of a request that no application gets."""
        logger.info("refused a request of %s: %s", connection.peer, refusal)

    # Requests

    def answer(self, connection: Connection, request: Request) -> None:
        """Have the application answer a request."""
        environ = request.environ
        environ["wsgi.input"] = connection.body(request)
        environ["gunicorn.socket"] = handle = Handle(
            connection.sock, connection.take_rest if request.is_upgrade else None
        )
        response = Response(request, connection.send)
        environ["wsgi.early_hints"] = response.early_hints
        self._count(response)
        started = datetime.now() if self._logs else None
        try:
            if self._pre_request is not None:
                self._pre_request(self.worker, request)
            chunks = self.worker.wsgi(environ, response.start_response)
            try:
                if handle.is_taken:
                    raise StopIteration  # what the view returned is HTTP, and this is no more
                self._send(chunks, connection, response)
            finally:
                close = getattr(chunks, "close", None)
                if close is not None:
                    close()
        except StopIteration:
            response.force_close()  # how an application says that it has left HTTP
            if not handle.is_taken:
                self._failed(connection, request, response)
        except gevent.GreenletExit:
            raise  # the worker ends
        except OSError as error:
            response.force_close()
            if not is_gone(error):
                self._failed(connection, request, response)
        except BaseException:  # noqa: BLE001 - whatever it is, the client gets an answer
            self._failed(connection, request, response)
        finally:
            self._ended(request, response, started)
        if response.should_close() or not self.limits.idle:
            request.force_close()

    def _ended(self, request: Request, response: Response, started: datetime | None) -> None:
        """Log a response, and tell the hook; an error there is none of the client's."""
        environ = request.environ
        try:
            if started is not None:
                self.worker.log.access(response, request, environ, datetime.now() - started)
            if self._post_request is not None:
                self._post_request(self.worker, request, environ, response)
        except Exception:
            self.worker.log.exception("Exception in post_request hook")

    def _count(self, response: Response) -> None:
        worker = self.worker
        worker.nr += 1
        if worker.nr >= worker.max_requests and worker.alive:
            worker.log.info("Autorestarting worker after current request.")
            worker.end_soon()
        if not worker.alive or not self.limits.idle:
            response.force_close()

    def _send(self, chunks: Any, connection: Connection, response: Response) -> None:
        is_file = isinstance(chunks, self._files)
        if is_file and self._sendfile and send_file(chunks.filelike, connection, response):
            return
        # A stream is never held back, and a file never all in memory.
        sized = isinstance(chunks, list | tuple) or has_one_chunk(chunks)
        if sized or (not is_file and is_complete(response.request.environ, chunks)):
            response.whole(b"".join(chunks), sized=sized)
        else:
            for chunk in chunks:
                response.write(chunk)
            response.finish()
        if response.is_short:
            self.worker.log.error(
                "the response to %s %s is shorter than its Content-Length: %d of %d bytes",
                response.request.method,
                response.request.uri,
                response.sent,
                response.response_length,
            )

    def _failed(self, connection: Connection, request: Request, response: Response) -> None:
        """Report an error of the application, and answer for it if nothing was sent."""
        # The parser lets neither through what is not printable.
        self.worker.log.exception("Error handling request %s %s", request.method, request.uri)
        response.force_close()
        if response.headers_sent:
            return  # what was sent cannot be taken back; the client sees that it is cut off
        response.status, response.headers_sent = "500 Internal Server Error", True
        refusal = Refusal(500, "The server could not answer this request.")
        try:
            connection.send(refusal.response())
        except OSError as error:
            if not is_gone(error):
                raise


def _chosen(hook: Callable[..., Any], setting: Any) -> Callable[..., Any] | None:
    """Return a hook if somebody has set it; gunicorn's own does nothing of use."""
    return None if hook is setting.default else hook


def _own(name: Any, peer: Any) -> dict[str, Any]:
    """Return what is the same for all requests of a connection, and for no other.

    Args:
        name: the address of the listener.
        peer: the client's.
    """
    # A unix socket has no name that a URL could have; Host is what counts.
    server, port = (name[0], str(name[1])) if isinstance(name, tuple) else ("localhost", "")
    own = {"SERVER_NAME": server, "SERVER_PORT": port}
    if isinstance(peer, tuple):
        return own | {"REMOTE_ADDR": peer[0], "REMOTE_PORT": str(peer[1])}
    return own | {"REMOTE_ADDR": peer if isinstance(peer, str) else ""}
