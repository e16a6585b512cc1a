"""Python's http.client through the proxy at argv[1], before an origin that answers with what it was sent."""

import http.client
import sys

host, port = sys.argv[1].rsplit(":", 1)
connection = http.client.HTTPConnection(host, int(port), timeout=20)
connection.connect()
socket = connection.sock


def ask(method, target, body=None, chunked=False):
    """One request on the one connection; the first line and the rest of the answer."""
    connection.request(method, target, body=body, encode_chunked=chunked)
    response = connection.getresponse()
    answer = response.read()
    assert response.status == 200, response.status
    assert not response.will_close
    assert connection.sock is socket, "a connection of its own"
    return answer


assert ask("GET", "/a?b") == b"GET /a?b\n"
assert ask("HEAD", "/a") == b""
assert ask("POST", "/", body=b"hello") == b"POST /\nhello"
# An iterable without a length goes in chunks.
assert ask("PUT", "/", body=iter([b"hel", b"lo, ", b"chunks"]), chunked=True) == b"PUT /\nhello, chunks"
large = bytes(range(256)) * 8192
assert ask("POST", "/", body=large) == b"POST /\n" + large
assert ask("POST", "/", body=iter([large, large]), chunked=True) == b"POST /\n" + large + large
assert ask("GET", "/z") == b"GET /z\n"
connection.close()
print("good")
