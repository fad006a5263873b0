"""
The built pages of `ui/`, beside the API: every path that is not the API's is a file of theirs, or their one document.

The document has a fresh nonce in every answer, by which alone styles and scripts within it run (Content Security Policy
Level 3, section 2.3.1). Files below `assets/` carry a hash of their content in their name, so browsers keep them.
"""

import asyncio
import mimetypes
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

BUILT = Path(__file__).resolve().parent.parent / "web"
_NONCE = b"@NONCE@"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "object-src 'none'"
)
_DOCUMENT_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Frame-Options": "DENY",
}
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_NOT_BUILT = """\
The Console's pages are not built into this installation. Its API and the command line work without them.

In the source tree, `make ui` builds them; released packages have them.
"""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    media: str
    compressed: Path | None


class Pages:
    """Middleware that answers what is not below `/api/`."""

    def __init__(self, app: ASGIApp, directory: Path = BUILT) -> None:
        """Look for the files once: only what was there at the start is served, so no path leads anywhere else."""
        self._app = app
        self._files = _files(directory)
        self._read: dict[Path, bytes] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in {"/api", "/metrics"} or scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        response = await self._answer(scope["method"], scope["path"], Headers(scope=scope))
        await response(scope, receive, send)

    async def _answer(self, method: str, path: str, headers: Headers) -> Response:
        if method not in {"GET", "HEAD"}:
            return PlainTextResponse("Pages can only be read.\n", 405, {"Allow": "GET, HEAD"})
        if (file := self._files.get(path)) is not None and path != "/index.html":
            return await self._asset(path, file, headers)
        document = self._files.get("/index.html")
        if document is None:
            return PlainTextResponse(_NOT_BUILT, 503 if path == "/" else 404, {"Cache-Control": "no-store"})
        if "." in path.rpartition("/")[2]:
            return PlainTextResponse("There is nothing at this path.\n", 404)
        nonce = secrets.token_urlsafe(18)
        text = (await self._bytes(document.path)).replace(_NONCE, nonce.encode())
        return HTMLResponse(text, headers={**_DOCUMENT_HEADERS, "Content-Security-Policy": _POLICY.format(nonce=nonce)})

    async def _asset(self, path: str, file: _File, headers: Headers) -> Response:
        kept = _FOREVER if path.startswith("/assets/") else {"Cache-Control": "no-cache"}
        accepted = {item.split(";")[0].strip() for item in headers.get("accept-encoding", "").split(",")}
        if file.compressed is not None and "gzip" in accepted:
            kept = {**kept, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
            return Response(await self._bytes(file.compressed), media_type=file.media, headers=kept)
        return Response(await self._bytes(file.path), media_type=file.media, headers=kept)

    async def _bytes(self, path: Path) -> bytes:
        if path not in self._read:
            self._read[path] = await asyncio.to_thread(path.read_bytes)
        return self._read[path]


def _files(directory: Path) -> Mapping[str, _File]:
    found = {path for path in directory.rglob("*") if path.is_file()}
    files = {}
    for path in sorted(found):
        if path.suffix == ".gz":
            continue
        twin = path.with_name(f"{path.name}.gz")
        media = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        files[f"/{path.relative_to(directory).as_posix()}"] = _File(path, media, twin if twin in found else None)
    return files
