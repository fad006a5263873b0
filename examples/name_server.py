"""A name server for demonstrations and tests: answers A questions from a table, everything else with NXDOMAIN.

Usage: ``name_server.py ADDRESS PORT NAME=IP…``. Serves UDP and TCP, prints ``ready PORT`` when both are open, and then
one line ``asked NAME`` for every question that reached it, so that a test can prove which ones did not.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
import threading

NXDOMAIN, RECURSION = 0x8183, 0x8180
A_RECORD = 1


def answer(query: bytes, table: dict[str, str]) -> tuple[str, bytes]:
    """Return the name asked for and the response to it (RFC 1035, sections 4.1.1 to 4.1.3)."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii"))
        at += 1 + query[at]
    question, name = query[12 : at + 5], ".".join(labels).lower()
    (record_type,) = struct.unpack("!H", query[at + 1 : at + 3])
    known = name in table
    address = ipaddress.IPv4Address(table[name]).packed if known and record_type == A_RECORD else b""
    head = query[:2] + struct.pack("!5H", RECURSION if known else NXDOMAIN, 1, 1 if address else 0, 0, 0)
    record = b"\xc0\x0c" + struct.pack("!HHIH", A_RECORD, 1, 1, 4) + address if address else b""
    return name, head + question + record


def serve_udp(server: socket.socket, table: dict[str, str]) -> None:
    """Answer datagrams for ever."""
    while True:
        query, peer = server.recvfrom(4096)
        name, response = answer(query, table)
        print(f"asked {name}", flush=True)
        server.sendto(response, peer)


def serve_tcp(server: socket.socket, table: dict[str, str]) -> None:
    """Answer one question per connection (RFC 7766 allows more; nobody here needs it)."""
    while True:
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as stream:
            (length,) = struct.unpack("!H", stream.read(2).rjust(2, b"\0"))
            if length:
                name, response = answer(stream.read(length), table)
                print(f"asked {name}", flush=True)
                connection.sendall(struct.pack("!H", len(response)) + response)


def main(address: str, port: int, table: dict[str, str]) -> None:
    """Open both sockets on one port, say so, serve."""
    tcp = socket.create_server((address, port))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(tcp.getsockname())
    print(f"ready {tcp.getsockname()[1]}", flush=True)
    threading.Thread(target=serve_tcp, args=(tcp, table), daemon=True).start()
    serve_udp(udp, table)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), dict(entry.split("=", 1) for entry in sys.argv[3:]))
