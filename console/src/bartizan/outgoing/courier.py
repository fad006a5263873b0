"""Carries alerts: by HTTPS, mail, syslog, or into a file."""

from __future__ import annotations

import contextlib
import json
import os
import smtplib
import threading
from email.message import EmailMessage
from email.utils import formatdate
from typing import TYPE_CHECKING

from bartizan.alerts import FileLine, HttpMessage, MailMessage, Message, SyslogMessage
from bartizan.services.outgoing import OutgoingError, OutgoingRequest

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    from bartizan.outgoing.late import LateClient

_SECONDS = 15.0
_FAREWELL_SECONDS = 2.0
_MOST_ANSWER = 64 * 1024
_MOST_TOLD = 200
# These may change without a change of the message: an expired key, a queue made anew, a busy server.
_MAY_CHANGE = frozenset({401, 402, 403, 404, 407, 408, 409, 410, 421, 423, 425, 429})


class AlertCourier:
    """Implements `Courier`; files are written below `directory`."""

    def __init__(self, client: LateClient, directory: Path) -> None:
        self._client = client
        self._directory = directory
        self._writing = threading.Lock()

    def check(self, message: Message) -> None:
        """Raise OutgoingError for a receiver that nothing is ever carried to."""
        if isinstance(message, HttpMessage):
            self._client.check(message.url)
        elif isinstance(message, MailMessage | SyslogMessage):
            host = f"[{message.host}]" if ":" in message.host else message.host
            self._client.check(f"https://{host}:{message.port}/")
        if not isinstance(message, FileLine) and message.ca_pem:
            _trusting(message.ca_pem)

    def carry(self, message: Message) -> None:
        """Deliver a message. Raises OutgoingError."""
        match message:
            case HttpMessage():
                self._post(message)
            case MailMessage():
                self._mail(message)
            case SyslogMessage():
                self._log(message)
            case FileLine():
                with self._writing:
                    self._append(message)

    def _post(self, message: HttpMessage) -> None:
        answer = self._client.send(
            OutgoingRequest(
                method="POST",
                url=message.url,
                headers=message.headers,
                body=message.body,
                ca_pem=message.ca_pem,
                most=_MOST_ANSWER,
                seconds=_SECONDS,
            )
        )
        good = 200 <= answer.status < 300  # noqa: PLR2004 - RFC 9110, section 15.3
        if good and not _refuses(answer.body, message.refusal_key):
            return
        told = answer.body[:_MOST_TOLD].decode(errors="replace").strip()
        if secret := message.headers.get("authorization"):
            told = told.replace(secret, "…").replace(secret.partition(" ")[2] or secret, "…")
        final = 400 <= answer.status < 500 and answer.status not in _MAY_CHANGE  # noqa: PLR2004 - section 15.5
        raise OutgoingError(f"the receiver answers {answer.status}{f': {told}' if told else ''}", final=final)

    def _mail(self, message: MailMessage) -> None:
        context = _trusting(message.ca_pem)
        try:
            with self._connected(message.host, message.port) as connection:
                if message.tls_first:
                    connection = context.wrap_socket(connection, server_hostname=message.host)  # noqa: PLW2901 - the same, in TLS
                with _Smtp(connection, message.host) as smtp:
                    if not message.tls_first:
                        smtp.starttls(context=context)
                    if message.user:
                        smtp.login(message.user, message.password)
                    smtp.send_message(_mail_of(message), message.sender, message.recipients)
        except smtplib.SMTPResponseException as error:
            words = (
                error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
            )
            raise OutgoingError(f"`{message.host}` refuses: {error.smtp_code} {words[:_MOST_TOLD]}") from None
        except smtplib.SMTPRecipientsRefused as error:
            raise OutgoingError(f"`{message.host}` refuses the recipients {', '.join(error.recipients)}") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise OutgoingError(f"`{message.host}` does not take the mail: {error}") from None

    def _log(self, message: SyslogMessage) -> None:
        frame = f"{len(message.line)} ".encode() + message.line  # RFC 5425, section 4.3
        try:
            with self._connected(message.host, message.port) as connection:
                context = _trusting(message.ca_pem)
                with context.wrap_socket(connection, server_hostname=message.host) as stream:
                    stream.sendall(frame)
                    # Until the other side says goodbye, it may not have read what was sent.
                    stream.settimeout(_FAREWELL_SECONDS)
                    with contextlib.suppress(OSError, ValueError):
                        stream.unwrap()
        except (OSError, ValueError) as error:
            raise OutgoingError(f"`{message.host}` does not take the message: {error}") from None

    @contextlib.contextmanager
    def _connected(self, host: str, port: int) -> Iterator[socket.socket]:
        """Give a connection that ends in time, however slowly the other side drips."""
        connection = self._client.connect(host, port, seconds=_SECONDS)
        ending = threading.Timer(_SECONDS, _cut, (connection,))
        ending.daemon = True
        ending.start()
        try:
            yield connection
        finally:
            ending.cancel()
            connection.close()

    def _append(self, message: FileLine) -> None:
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            path = self._directory / f"{message.name}.jsonl"
            size = path.stat().st_size if path.exists() else 0
            if size and size + len(message.line) > message.max_bytes:
                _rotate(path, message.keep)
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                _write_whole(handle, message.line)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise OutgoingError(f"the file `{message.name}.jsonl` cannot be written: {error.strerror}") from None


class _Smtp(smtplib.SMTP):
    """SMTP over a connection that is there already."""

    def __init__(self, connection: socket.socket, host: str) -> None:
        self._given = connection
        # Its own name would be looked up in the DNS otherwise; a name that says nothing is allowed (RFC 5321, 4.1.4).
        super().__init__(local_hostname="[127.0.0.1]", timeout=_SECONDS)
        self._host = host  # `starttls` compares the certificate with it
        code, words = self.connect(host)
        if code != 220:  # noqa: PLR2004 - RFC 5321, section 4.3.2
            raise smtplib.SMTPConnectError(code, words)

    def _get_socket(self, *_: object) -> socket.socket:
        return self._given


def _mail_of(message: MailMessage) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = message.sender
    mail["To"] = ", ".join(message.recipients)
    mail["Subject"] = message.subject
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<{message.identifier}@{message.sender.rpartition('@')[2]}>"
    # No automatic reply is wanted (RFC 3834, section 5).
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text.encode(errors="replace").decode())
    return mail


def _refuses(body: bytes, key: str) -> bool:
    if not key:
        return False
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return True
    return not isinstance(found, dict) or found.get(key, 0) != 0


def _rotate(path: Path, keep: int) -> None:
    for number in range(keep, 0, -1):
        older = path if number == 1 else path.with_name(f"{path.name}.{number - 1}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number}"))


def _write_whole(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(2)


def _trusting(ca_pem: str) -> ssl.SSLContext:
    from bartizan.outgoing.client import trusting  # noqa: PLC0415 - keeps the start quick

    return trusting(ca_pem)
