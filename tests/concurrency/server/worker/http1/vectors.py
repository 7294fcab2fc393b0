"""Requests that are attacked with, and what a server has to make of each.

An outcome is the body that the application got, as ``b"METHOD path body"``, or the status
of a refusal, after which the connection ends. Sources: RFC 9110, RFC 9112, and the families
of attacks that public reports of request smuggling describe (CL.TE, TE.CL, TE.TE, CL.0).
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["VECTORS", "Vector"]

# What an attacker wants the server to answer as a request of its own.
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


class Vector(NamedTuple):
    """Bytes of a connection, and what has to come of them."""

    name: str
    data: bytes
    outcomes: tuple[bytes | int, ...]


def _get(head: bytes = b"", line: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: x\r\n") -> bytes:
    return line + b"\r\n" + host + head + b"\r\n"


def _post(head: bytes, body: bytes = b"", line: bytes = b"POST /p HTTP/1.1") -> bytes:
    return line + b"\r\nHost: x\r\n" + head + b"\r\n" + body


_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_SERVED = b"GET / "

VECTORS = (
    Vector("plain", _get(), (_SERVED,)),
    Vector("pipelined", _get() + _get(line=b"GET /2 HTTP/1.1"), (_SERVED, b"GET /2 ")),
    Vector("empty line before", b"\r\n" + _get(), (_SERVED,)),
    Vector("length", _post(b"Content-Length: 3\r\n", b"abc"), (b"POST /p abc",)),
    Vector("length of zero", _post(b"Content-Length: 0\r\n") + _get(), (b"POST /p ", _SERVED)),
    Vector(
        "length and next",
        _post(b"Content-Length: 3\r\n", b"abc") + _get(),
        (b"POST /p abc", _SERVED),
    ),
    Vector("chunks", _post(_CHUNKED, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), (b"POST /p abcde",)),
    Vector(
        "chunks and next", _post(_CHUNKED, b"1\r\na\r\n0\r\n\r\n") + _get(), (b"POST /p a", _SERVED)
    ),
    Vector(
        "chunk extension", _post(_CHUNKED, b'3;a=b;c="d"\r\nabc\r\n0\r\n\r\n'), (b"POST /p abc",)
    ),
    Vector(
        "trailer",
        _post(_CHUNKED, b"1\r\na\r\n0\r\nX-T: y\r\n\r\n") + _get(),
        (b"POST /p a", _SERVED),
    ),
    # Two lengths
    Vector(
        "length and chunks",
        _post(b"Content-Length: 4\r\n" + _CHUNKED, b"0\r\n\r\n" + SMUGGLED),
        (400,),
    ),
    Vector(
        "chunks and length",
        _post(_CHUNKED + b"Content-Length: 4\r\n", b"0\r\n\r\n" + SMUGGLED),
        (400,),
    ),
    Vector("two lengths", _post(b"Content-Length: 3\r\nContent-Length: 0\r\n", SMUGGLED), (400,)),
    Vector("length twice", _post(b"Content-Length: 3\r\nContent-Length: 3\r\n", b"abc"), (400,)),
    Vector("list of lengths", _post(b"Content-Length: 3, 3\r\n", b"abc"), (400,)),
    Vector("signed length", _post(b"Content-Length: +3\r\n", b"abc"), (400,)),
    Vector("negative length", _post(b"Content-Length: -1\r\n", b"abc"), (400,)),
    Vector("hexadecimal length", _post(b"Content-Length: 0x3\r\n", b"abc"), (400,)),
    Vector("underscored length", _post(b"Content-Length: 1_0\r\n", b"abc"), (400,)),
    Vector("length of nothing", _post(b"Content-Length:\r\n", b"abc"), (400,)),
    Vector("length that overflows", _post(b"Content-Length: 18446744073709551616\r\n"), (400,)),
    # Transfer codings
    Vector("capitals", _post(b"TRANSFER-ENCODING: CHUNKED\r\n", b"0\r\n\r\n"), (b"POST /p ",)),
    Vector(
        "gzip, chunked",
        _post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n" + SMUGGLED),
        (501,),
    ),
    Vector(
        "chunked, gzip",
        _post(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n" + SMUGGLED),
        (400,),
    ),
    Vector("identity", _post(b"Transfer-Encoding: identity\r\n", SMUGGLED), (501,)),
    Vector("chunked twice", _post(_CHUNKED + _CHUNKED, b"0\r\n\r\n" + SMUGGLED), (400,)),
    Vector(
        "chunked and x",
        _post(_CHUNKED + b"Transfer-Encoding: x\r\n", b"0\r\n\r\n" + SMUGGLED),
        (400,),
    ),
    Vector("xchunked", _post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n" + SMUGGLED), (501,)),
    Vector("vertical tab", _post(b"Transfer-Encoding:\x0bchunked\r\n", b"0\r\n\r\n"), (400,)),
    Vector("quoted", _post(b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n"), (501,)),
    Vector(
        "space before the colon", _post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"), (400,)
    ),
    Vector("tab before the colon", _post(b"Content-Length\t: 3\r\n", b"abc"), (400,)),
    Vector("on HTTP/1.0", _post(_CHUNKED, b"0\r\n\r\n" + SMUGGLED, b"POST /p HTTP/1.0"), (400,)),
    Vector(
        "with underscore",
        _post(b"Transfer_Encoding: chunked\r\nContent-Length: 3\r\n", b"abc"),
        (b"POST /p abc",),
    ),
    # Lines
    Vector("bare LF", b"GET / HTTP/1.1\nHost: x\n\n", (400,)),
    Vector("bare LF in the head", _get(b"A: b\nC: d\r\n"), (400,)),
    Vector("bare CR", b"GET / HTTP/1.1\rHost: x\r\r", (400,)),
    Vector("bare CR in a value", _get(b"A: b\rTransfer-Encoding: chunked\r\n"), (400,)),
    Vector("obs-fold", _get(b"A: b\r\n c\r\n"), (400,)),
    Vector("folded coding", _post(b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"), (400,)),
    Vector("NUL", _get(b"A: b\0c\r\n"), (400,)),
    Vector("control character", _get(b"A: b\x01\r\n"), (400,)),
    Vector("no name", _get(b": b\r\n"), (400,)),
    Vector("no colon", _get(b"nothing\r\n"), (400,)),
    Vector("name in parentheses", _get(b"A(b): c\r\n"), (400,)),
    Vector("space first", b"GET / HTTP/1.1\r\n Host: x\r\n\r\n", (400,)),
    Vector("LF after chunk size", _post(_CHUNKED, b"1\na\r\n0\r\n\r\n"), (400,)),
    Vector("LF after chunk", _post(_CHUNKED, b"1\r\na\n0\r\n\r\n"), (400,)),
    Vector("chunk too long", _post(_CHUNKED, b"1\r\nab\r\n0\r\n\r\n"), (400,)),
    Vector("prefixed chunk size", _post(_CHUNKED, b"0x1\r\na\r\n0\r\n\r\n"), (400,)),
    Vector("chunk size with space", _post(_CHUNKED, b"1 \r\na\r\n0\r\n\r\n"), (400,)),
    Vector("negative chunk", _post(_CHUNKED, b"-1\r\na\r\n0\r\n\r\n"), (400,)),
    Vector("chunk that overflows", _post(_CHUNKED, b"FFFFFFFFFFFFFFFFF\r\n"), (400,)),
    Vector("LF in a chunk extension", _post(_CHUNKED, b"1;a\nb\r\na\r\n0\r\n\r\n"), (400,)),
    # Hosts and targets
    Vector("no Host", _get(host=b""), (400,)),
    Vector("no Host on HTTP/1.0", _get(line=b"GET / HTTP/1.0", host=b""), (_SERVED,)),
    Vector("two Hosts", _get(b"Host: y\r\n"), (400,)),
    Vector("Host twice", _get(b"Host: x\r\n"), (400,)),
    Vector("absolute form", _get(line=b"GET http://x/a?b HTTP/1.1"), (b"GET /a ",)),
    Vector("absolute form of another host", _get(line=b"GET http://y/a HTTP/1.1"), (400,)),
    Vector("absolute form with user", _get(line=b"GET http://u@x/a HTTP/1.1"), (400,)),
    Vector("authority form", _get(line=b"CONNECT x:80 HTTP/1.1"), (400,)),
    Vector("asterisk form", _get(line=b"OPTIONS * HTTP/1.1"), (b"OPTIONS * ",)),
    Vector("asterisk of another method", _get(line=b"GET * HTTP/1.1"), (400,)),
    Vector("fragment", _get(line=b"GET /a#b HTTP/1.1"), (400,)),
    Vector("bytes beyond ASCII", _get(line=b"GET /\xc3\xa4 HTTP/1.1"), (400,)),
    Vector("space in the target", _get(line=b"GET /a b HTTP/1.1"), (400,)),
    Vector("relative target", _get(line=b"GET a HTTP/1.1"), (400,)),
    Vector("unknown method", _get(line=b"FOO / HTTP/1.1"), (400,)),
    Vector("method in small letters", _get(line=b"get / HTTP/1.1"), (400,)),
    Vector("HTTP/0.9", _get(line=b"GET / HTTP/0.9"), (505,)),
    Vector("HTTP/2.0", _get(line=b"GET / HTTP/2.0"), (505,)),
    Vector("HTTP/1.2", _get(line=b"GET / HTTP/1.2"), (400,)),
    Vector("preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400,)),
    Vector("no version", b"GET /\r\nHost: x\r\n\r\n", (505,)),
    # The end of the connection, and other protocols
    Vector("data after close", _get(b"Connection: close\r\n") + SMUGGLED, (_SERVED,)),
    Vector("data after HTTP/1.0", _get(line=b"GET / HTTP/1.0") + SMUGGLED, (_SERVED,)),
    Vector(
        "kept on HTTP/1.0",
        _get(b"Connection: keep-alive\r\n", b"GET / HTTP/1.0") + _get(),
        (_SERVED, _SERVED),
    ),
    Vector(
        "upgrade with a body",
        _post(b"Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 35\r\n", SMUGGLED) + _get(),
        (b"POST /p " + SMUGGLED, _SERVED),
    ),
    Vector(
        "upgrade with chunks",
        _post(b"Upgrade: h2c\r\nConnection: upgrade\r\n" + _CHUNKED, b"3\r\nabc\r\n0\r\n\r\n")
        + _get(),
        (b"POST /p abc", _SERVED),
    ),
    Vector(
        "upgrade with a body that ends early",
        _post(b"Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 9\r\n", b"abc"),
        (400,),
    ),
    Vector(
        "upgrade that is not taken",
        _get(b"Upgrade: h2c\r\nConnection: upgrade\r\n") + _get(),
        (_SERVED, _SERVED),
    ),
    Vector("another expectation", _get(b"Expect: 200-ok\r\n"), (417,)),
    Vector("expectation on HTTP/1.0", _get(b"Expect: 200-ok\r\n", b"GET / HTTP/1.0"), (_SERVED,)),
    # Sizes
    Vector("long target", _get(line=b"GET /" + b"a" * 5000 + b" HTTP/1.1"), (414,)),
    Vector("target without an end", b"GET /" + b"a" * 100_000, (414,)),
    Vector("large field", _get(b"A: " + b"b" * 9000 + b"\r\n"), (431,)),
    Vector("field without an end", b"GET / HTTP/1.1\r\nA: " + b"b" * 2_000_000, (431,)),
    Vector("many fields", _get(b"A: b\r\n" * 101), (431,)),
    Vector(
        "many fields in a trailer", _post(_CHUNKED, b"0\r\n" + b"A: b\r\n" * 101 + b"\r\n"), (431,)
    ),
    Vector("large length", _post(b"Content-Length: 2000000\r\n"), (413,)),
    Vector("large chunks", _post(_CHUNKED, (b"40000\r\n" + b"a" * 0x40000 + b"\r\n") * 5), (413,)),
    Vector("body that ends early", _post(b"Content-Length: 60\r\n", b"a" * 17), (400,)),
    Vector("chunks that end early", _post(_CHUNKED, b"5\r\nab"), (400,)),
)
