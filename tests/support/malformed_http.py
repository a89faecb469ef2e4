"""Raw requests that are no acceptable HTTP/1.1, each with one thing wrong."""

from __future__ import annotations

BODY = b'{"customers": []}'


def post(
    body: bytes, *, length: int | None = None, close: bool = True, extra: bytes = b""
) -> bytes:
    """A request of the ordinary kind."""
    head = b"POST /v1/segments HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Connection: close\r\n" if close else b""
    announced = len(body) if length is None else length
    return head + extra + b"Content-Length: %d\r\n\r\n" % announced + body


def _request_line(line: bytes) -> bytes:
    return line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def _header(header: bytes) -> bytes:
    return (
        b"GET /v1/none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + header + b"\r\n\r\n"
    )


def _length(value: bytes) -> bytes:
    head = b"POST /v1/segments HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    return head + b"Content-Length: " + value + b"\r\n\r\n" + BODY


def _coding(header: bytes, body: bytes = b"5\r\nhello\r\n0\r\n\r\n") -> bytes:
    head = b"POST /v1/segments HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    return head + b"Content-Type: application/json\r\n" + header + b"\r\n\r\n" + body


def _chunks(body: bytes) -> bytes:
    return _coding(b"Transfer-Encoding: chunked", body)


MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "line breaks only": b"\r\n\r\n",
    "one letter": b"G",
    "binary": bytes(range(256)),
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "SMTP": b"EHLO localhost\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "JSON alone": BODY + b"\r\n\r\n",
    "answer instead of request": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}
for _name, _line in {
    "no version": b"GET /x",
    "no path": b"GET  HTTP/1.1",
    "method only": b"GET",
    "version only": b"HTTP/1.1",
    "HTTP/9.9": b"GET /x HTTP/9.9",
    "HTTP/1": b"GET /x HTTP/1",
    "HTTP/1.1.1": b"GET /x HTTP/1.1.1",
    "HTTP/a.b": b"GET /x HTTP/a.b",
    "http in small letters": b"GET /x http/1.1",
    "version of another protocol": b"GET /x RTSP/1.0",
    "four words": b"GET /x y HTTP/1.1",
    "method with a space before": b" GET /x HTTP/1.1",
    "tab for space": b"GET\t/x\tHTTP/1.1",
    "method in brackets": b"G(E)T /x HTTP/1.1",
    "method with a NUL": b"GE\x00T /x HTTP/1.1",
    "method beyond ASCII": b"G\xc3\x89T /x HTTP/1.1",
    "method in small letters": b"get /x HTTP/1.1",
    "method of 100 letters": b"G" * 100 + b" /x HTTP/1.1",
    "unknown method": b"BREW /v1/segments HTTP/1.1",
    "connect": b"CONNECT localhost:80 HTTP/1.1",
    "path of 10,000 letters": b"GET /" + b"x" * 10_000 + b" HTTP/1.1",
    "query of 10,000 letters": b"GET /v1/model?" + b"x" * 10_000 + b" HTTP/1.1",
    "path with a NUL": b"GET /v1\x00/model HTTP/1.1",
    "path with a line feed": b"GET /v1\n/model HTTP/1.1",
    "path without a slash": b"GET v1/model HTTP/1.1",
    "path upwards": b"GET /../../../../etc/passwd HTTP/1.1",
    "path upwards, escaped": b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1",
    "path with a broken escape": b"GET /v1/%zz HTTP/1.1",
    "path not UTF-8": b"GET /v1/%ff%fe HTTP/1.1",
    "path with raw bytes": b"GET /v1/\xff\xfe HTTP/1.1",
    "address of another server": b"GET http://example.org/x HTTP/1.1",
    "backslash": b"GET \\v1\\model HTTP/1.1",
}.items():
    MALFORMED[f"request line: {_name}"] = _request_line(_line)
for _name, _text in {
    "without colon": b"Broken",
    "without name": b": value",
    "space before colon": b"Accept : x",
    "name with a space": b"Ac cept: x",
    "name with a tab": b"Ac\tcept: x",
    "name with a NUL": b"Ac\x00cept: x",
    "name in brackets": b"Acc(ept): x",
    "name beyond ASCII": b"Acc\xc3\xa9pt: x",
    "name with a slash": b"Ac/cept: x",
    "name with a quote": b'Ac"cept: x',
    "name with an at": b"Ac@cept: x",
    "name with a comma": b"Ac,cept: x",
    "value with a NUL": b"Accept: a\x00b",
    "value with a carriage return": b"Accept: a\rb",
    "folded": b"Accept: a\r\n b",
    "folded with a tab": b"Accept: a\r\n\tb",
    "of 20,000 letters": b"X-Long: " + b"x" * 20_000,
    "of 64 KB": b"X-Long: " + b"x" * 65_536,
    "name of 20,000 letters": b"X" * 20_000 + b": x",
    "first one folded": b" Accept: x",
}.items():
    MALFORMED[f"header {_name}"] = _header(_text)
MALFORMED["200 headers"] = _header(b"\r\n".join(b"X-%d: 1" % n for n in range(200)))
MALFORMED["2,000 headers"] = _header(b"\r\n".join(b"X-%d: 1" % n for n in range(2000)))
MALFORMED["headers never end"] = b"GET /v1/none HTTP/1.1\r\nHost: localhost\r\n"
for _name, _value in {
    "negative": b"-1",
    "with a plus": b"+17",
    "hexadecimal": b"0x11",
    "a word": b"seventeen",
    "empty": b"",
    "a fraction": b"17.0",
    "an exponent": b"1e1",
    "with an underscore": b"1_7",
    "with a space": b"1 7",
    "two values": b"17, 18",
    "the same value twice": b"17, 17",
    "huge": b"9" * 40,
    "16 TB": b"17592186044416",
    "other digits": "١٧".encode(),
    "with a NUL": b"17\x00",
    "with a semicolon": b"17;",
}.items():
    MALFORMED[f"length {_name}"] = _length(_value)
MALFORMED["two lengths"] = _length(b"17\r\nContent-Length: 18")
MALFORMED["two equal lengths"] = _length(b"17\r\nContent-Length: 17")
UNKNOWN_CODING = {
    "coding unknown",
    "coding gzip",
    "coding identity",
    "coding twice chunked",
    "coding in quotes",
    "coding empty",
    "coding x-chunked",
}
for _name, _text in {
    "unknown": b"Transfer-Encoding: brew",
    "gzip": b"Transfer-Encoding: gzip",
    "identity": b"Transfer-Encoding: identity",
    "twice chunked": b"Transfer-Encoding: chunked, chunked",
    "in quotes": b'Transfer-Encoding: "chunked"',
    "with a length": b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    "with a length before": b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    "chunked first": b"Transfer-Encoding: chunked, gzip",
    "space before colon": b"Transfer-Encoding : chunked",
    "with a vertical tab": b"Transfer-Encoding: \x0bchunked",
    "empty": b"Transfer-Encoding:",
    "x-chunked": b"Transfer-Encoding: xchunked",
}.items():
    MALFORMED[f"coding {_name}"] = _coding(_text)
for _name, _text in {
    "size a word": b"five\r\nhello\r\n0\r\n\r\n",
    "size negative": b"-5\r\nhello\r\n0\r\n\r\n",
    "size with a plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size with an underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "size empty": b"\r\nhello\r\n0\r\n\r\n",
    "size huge": b"f" * 40 + b"\r\nhello\r\n0\r\n\r\n",
    "size too small": b"3\r\nhello\r\n0\r\n\r\n",
    "size too large": b"9\r\nhello\r\n0\r\n\r\n",
    "without its end": b"5\r\nhello",
    "without the last": b"5\r\nhello\r\n",
    "line feed only": b"5\nhello\n0\n\n",
    "space before size": b" 5\r\nhello\r\n0\r\n\r\n",
    "extension with a line feed": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "trailer that is none": b"5\r\nhello\r\n0\r\nbroken\r\n\r\n",
}.items():
    MALFORMED[f"chunk {_name}"] = _chunks(_text)
for _name, _text in {
    "Expect of another kind": b"Expect: magic",
    "two hosts": b"Host: example.org",
    "HTTP/1.1 upgrade": b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
    "underscore for dash": b"Content_Length: 5",
}.items():
    MALFORMED[_name] = _header(_text)
