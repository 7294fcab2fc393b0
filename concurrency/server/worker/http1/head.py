"""What the head of a request has to be, beyond what llhttp checks, and what follows from it.

Sources: RFC 9110 and RFC 9112, whose sections stand beside each rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

from concurrency.server.worker.http1.refusals import Refusal
from concurrency.server.worker.http1.request import Request
from concurrency.server.worker.http1.rules import Rules

__all__ = ["BODY_TOO_LARGE", "FIELDS_TOO_LARGE", "LINE_TOO_LONG", "complete", "of_body"]

# Made anew for each request: an exception remembers where it was raised.
LINE_TOO_LONG = partial(Refusal, 414, "The target of the request is longer than this server takes.")
FIELDS_TOO_LARGE = partial(
    Refusal, 431, "The header fields are more or larger than this server takes."
)
BODY_TOO_LARGE = partial(Refusal, 413, "The body of the request is larger than this server takes.")

_VERSIONS = {"1.1": ((1, 1), "HTTP/1.1"), "1.0": ((1, 0), "HTTP/1.0")}

# RFC 3986, 2: a target is printable ASCII; a fragment is never sent (RFC 9112, 3.2).
_NOT_IN_TARGET = re.compile(rb"[^\x21-\x22\x24-\x7e]")

_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)(.*)", re.IGNORECASE | re.DOTALL)


def complete(
    request: Request, target: bytes, version: str, rules: Rules, is_trusted: Callable[[], bool]
) -> None:
    """Fill in what the head of a request means.

    Args:
        request: has method and environment.
        target: of the request line.
        version: of the request line, as in "1.1".
        rules: what the server accepts.
        is_trusted: returns whether the peer is a proxy that is believed.

    Raises:
        Refusal: the request cannot be served.
    """
    environ = request.environ
    known = _VERSIONS.get(version)
    if known is None:
        raise Refusal(505, "This server speaks HTTP/1.1 and HTTP/1.0.")
    request.version, environ["SERVER_PROTOCOL"] = known
    environ["REQUEST_METHOD"] = request.method
    _split(request, target)
    if "HTTP_HOST" not in environ and request.version == (1, 1):
        raise Refusal(400, "A request on HTTP/1.1 needs a Host field.")  # RFC 9112, 3.2
    if "HTTP_TRANSFER_ENCODING" in environ or "CONTENT_LENGTH" in environ:
        _frame(request, rules)
    if "HTTP_EXPECT" in environ:
        _expect(request)
    request.scheme = rules.scheme
    if rules.secure_headers:
        _scheme(request, rules, is_trusted)
    environ["wsgi.url_scheme"] = request.scheme
    if "HTTP_SCRIPT_NAME" in environ and "SCRIPT_NAME" in rules.forwarder_headers and is_trusted():
        _mount(request)
    _place(request)


def of_body(request: Request) -> bytes | None:
    """Return a head with the framing of a request's body alone; None without a body.

    Args:
        request: its head is complete.
    """
    if request.chunked:
        framing = b"Transfer-Encoding: chunked"
    elif (length := int(request.environ.get("CONTENT_LENGTH", "0"))) > 0:
        framing = b"Content-Length: %d" % length
    else:
        return None
    return b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing


def _split(request: Request, target: bytes) -> None:
    """Split the request target (RFC 9112, 3.2)."""
    if _NOT_IN_TARGET.search(target) or not target:
        raise Refusal(400, "The target of the request has characters that have to be quoted.")
    environ = request.environ
    if not target.startswith(b"/"):
        target = _other_form(request, target)
    path, _, query = target.partition(b"?")
    environ["RAW_URI"] = request.uri = target.decode("ascii")
    request.path = path.decode("ascii")
    environ["QUERY_STRING"] = request.query = query.decode("ascii")


def _other_form(request: Request, target: bytes) -> bytes:
    """Return the origin form of a target that has another one."""
    if target == b"*" and request.method == "OPTIONS":
        return target
    found = _ABSOLUTE.fullmatch(target)
    if found is None or request.method == "CONNECT":
        raise Refusal(400, "The target of the request has to be a path.")
    authority, rest = found.groups()
    # Two hosts are two answers to the question who is meant.
    if request.environ.get("HTTP_HOST", "").lower() != authority.decode("ascii").lower():
        raise Refusal(400, "The target of the request and its Host field name two hosts.")
    return rest if rest.startswith(b"/") else b"/" + rest


def _frame(request: Request, rules: Rules) -> None:
    """Decide how long the body is (RFC 9112, 6)."""
    environ = request.environ
    coding = environ.get("HTTP_TRANSFER_ENCODING")
    if coding is not None:
        if request.version == (1, 0):
            raise Refusal(400, "HTTP/1.0 has no transfer codings.")
        if coding.strip().lower() != "chunked":
            raise Refusal(501, "The only transfer coding of this server is chunked.")
        request.chunked = True
    else:
        length = int(environ["CONTENT_LENGTH"])
        if rules.body is not None and length > rules.body:
            raise BODY_TOO_LARGE()
        request.chunked = False


def _expect(request: Request) -> None:
    """Look at what the client expects (RFC 9110, 10.1.1)."""
    if request.version == (1, 0):
        return
    if request.environ["HTTP_EXPECT"].lower() != "100-continue":
        raise Refusal(417, "This server only knows the expectation 100-continue.")
    request.expects_continue = True


def _scheme(request: Request, rules: Rules, is_trusted: Callable[[], bool]) -> None:
    """Believe a proxy that says how it was spoken to."""
    environ = request.environ
    said = {environ[key] == value for key, value in rules.secure_headers if key in environ}
    if said and is_trusted():
        if len(said) > 1:
            raise Refusal(400, "The proxy's fields name two schemes.")
        request.scheme = "https" if said.pop() else "http"


def _mount(request: Request) -> None:
    """Take SCRIPT_NAME from a proxy; a field Script-Name has the same key, and may be anybody's."""
    named = [value for name, value in request.fields if name.upper() == b"SCRIPT_NAME"]
    if len(named) > 1:
        raise Refusal(400, "A header field that may stand once is repeated.")
    if named:
        request.environ["SCRIPT_NAME"] = named[0].decode("latin-1")


def _place(request: Request) -> None:
    """Split the path into the part that the server takes and the application's."""
    environ: dict[str, Any] = request.environ
    path = request.path
    mount = environ["SCRIPT_NAME"]
    if mount:
        if path != mount and not path.startswith(mount.rstrip("/") + "/"):
            raise Refusal(400, "The path of the request is not below SCRIPT_NAME.")
        path = path[len(mount) :]
    environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1") if "%" in path else path
