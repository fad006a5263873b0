#!/usr/bin/python3
"""A small shop with two large holes, for demonstrations and tests. Never expose it.

The parcel search passes its argument to ``find`` without looking at it. No shell is involved, so it looks harmless; but
``find`` has an option ``-exec``, and whoever searches for ``x -exec sh -c id ;`` gets a shell.

The search for goods puts its argument between two quotes of an SQL statement. Whoever searches for
``' UNION SELECT name, password FROM customers --`` gets what the database has about its customers.
"""

from __future__ import annotations

import contextlib
import html
import os
import shlex
import sqlite3
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

GOODS = [("Arrow slit, oak", "49.00"), ("Portcullis, used", "890.00"), ("Bucket of pitch", "7.50")]
CUSTOMERS = [("alice@castle.test", "correct horse"), ("bob@moat.test", "battery staple")]
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>The Battlement Shop</title>
<style>body{{font:16px/1.5 Georgia,serif;max-width:40em;margin:3em auto;color:#222}}td{{padding:.2em 1.5em .2em 0}}
pre{{background:#f4f1ea;padding:1em;white-space:pre-wrap}}</style><h1>The Battlement Shop</h1>{body}"""
PARCELS = os.environ.get("SHOP_PARCELS", "/shop/parcels")
ADDRESS = os.environ.get("SHOP_ADDRESS", "0.0.0.0")  # noqa: S104 - a container's port
PORT = int(os.environ.get("SHOP_PORT", "8080"))


class Shop(BaseHTTPRequestHandler):
    """Answers ``/`` and ``/goods?named=…`` with goods, and ``/track?parcel=…`` with what ``find`` says."""

    server_version = "battlement"

    def do_GET(self) -> None:
        """Serve one page."""
        url = urlsplit(self.path)
        if url.path in {"/", "/goods"}:
            found = goods(parse_qs(url.query).get("named", [""])[0])
            rows = "".join(f"<tr><td>{html.escape(name)}<td>{html.escape(price)}" for name, price in found)
            self.answer(
                f"<form action=/goods>Goods: <input name=named> <button>Search</button></form><table>{rows}</table>"
                "<form action=/track>Parcel: <input name=parcel> <button>Track</button></form>"
            )
        elif url.path == "/track":
            self.answer(f"<pre>{html.escape(track(parse_qs(url.query).get('parcel', [''])[0]))}</pre>")
        else:
            self.send_error(404)

    def answer(self, body: str) -> None:
        """Send an HTML page."""
        page = PAGE.format(body=body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, template: str, *values: object) -> None:
        """Write the access log to standard output, as containers do."""
        sys.stdout.write(f"{self.address_string()} {template % values}\n")
        sys.stdout.flush()


def goods(named: str) -> list[tuple[str, str]]:
    """Search for goods. This is the other hole: a quote of the visitor ends the quote of the statement."""
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE goods (name, price)")
        database.execute("CREATE TABLE customers (name, password)")
        database.executemany("INSERT INTO goods VALUES (?, ?)", GOODS)
        database.executemany("INSERT INTO customers VALUES (?, ?)", CUSTOMERS)
        try:
            return database.execute(f"SELECT name, price FROM goods WHERE name LIKE '%{named}%'").fetchall()  # noqa: S608
        except sqlite3.Error as error:
            return [(f"the database says: {error}", "")]


def track(parcel: str) -> str:
    """Look a parcel up. This is the hole: words of the visitor become words of the command."""
    command = ["find", PARCELS, "-name", *shlex.split(parcel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    return (done.stdout + done.stderr) or "no such parcel"


if __name__ == "__main__":
    ThreadingHTTPServer((ADDRESS, PORT), Shop).serve_forever()
