"""Whether a manifest is protected, for a gate in front of `cf push`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bartizan.embed.cloud_foundry import start_command, undo
from bartizan.embed.cloud_foundry.manifest import App, Manifest, Start, command_at, read
from bartizan.embed.cloud_foundry.protect import protect
from bartizan.embed.cloud_foundry.settings import ManifestSettings
from bartizan.embed.cloud_foundry.variables import references
from bartizan.embed.errors import EmbedError
from bartizan.embed.selection import listed
from bartizan.embed.verify import Finding

if TYPE_CHECKING:
    from bartizan.embed.cloud_foundry.undo import Comment

_NEEDED = ("DEFENDER_ID", "WS_ADDRESS", "DATA_FOLDER", "INSTALL_BUNDLE")


def verify(
    text: str, *, version: str, settings: ManifestSettings | None = None, install_bundle: str | None = None
) -> list[Finding]:
    """Return what keeps a manifest from being protected by `version`; an empty list is good.

    With `settings` it is also compared with what `protect` would make of it now, with `install_bundle` only the bundle
    is, unless a ((variable)) holds it. Raises `EmbedError` for a text that is
    no manifest.
    """
    manifest = read(text)
    comment = undo.find(text)
    findings = [finding for app in manifest.apps for finding in _app(manifest, app, comment)]
    if comment is not None and comment.version != version:
        message = f"protected by version `{comment.version}`, not `{version}`: protect it again"
        findings.append(Finding("stale", message, manifest.where(())))
    if install_bundle is not None:
        findings += [finding for app in manifest.apps for finding in _bundle(manifest, app, install_bundle)]
    if not findings and settings is not None:
        findings += _against(text, manifest, settings)
    return findings


def _app(manifest: Manifest, app: App, comment: "Comment | None") -> Iterator[Finding]:
    skipped = comment.record.skipped if comment is not None else ()
    wrapped = [start for start in app.starts if _is_wrapped(manifest, app, start)]
    for start in app.starts:
        if start in wrapped or start.key in skipped:
            continue
        message = f"`{start.key}` runs unprotected: protect the manifest"
        yield Finding("unprotected", message, start.where, start.key)
    if wrapped:
        yield from _environment(manifest, app)


def _is_wrapped(manifest: Manifest, app: App, start: Start) -> bool:
    """Return whether each command that may start it runs the Defender: beside the app, or inside its image."""
    own = [path for path in start.places if path] or start.places
    commands = [command for path in own if (command := command_at(manifest.value, path)) is not None]
    found = [start_command.unwrap(command) for command in commands]
    return bool(found) and all(
        wrapped is not None and (app.image is not None or wrapped.program == start_command.DEFENDER)
        for wrapped in found
    )


def _environment(manifest: Manifest, app: App) -> Iterator[Finding]:
    where = manifest.where((*app.path, "env"))
    if app.environment.get("DEFENDER_TYPE") != "appEmbedded":
        yield Finding(
            "tampered", f"`{app.name}` does not tell the Defender its type: protect it again", where, app.name
        )
    lost = [name for name in _NEEDED if not app.environment.get(name)]
    if lost:
        yield Finding("tampered", f"`{app.name}` has lost {listed(lost)}: protect it again", where, app.name)


def _bundle(manifest: Manifest, app: App, wanted: str) -> Iterator[Finding]:
    found = app.environment.get("INSTALL_BUNDLE")
    if found is not None and found != wanted and not references(str(found)):
        where = manifest.where((*app.path, "env", "INSTALL_BUNDLE"))
        yield Finding("stale", f"`{app.name}` has another install bundle: protect it again", where, app.name)


def _against(text: str, manifest: Manifest, settings: ManifestSettings) -> Iterator[Finding]:
    try:
        protection = protect(text, settings=settings)
    except EmbedError as error:
        message = f"it cannot be protected with these settings: {error.message}"
        yield Finding("stale", message, error.where or manifest.where(()))
        return
    places = sorted({made.pointer for made in protection.edits if made.pointer})
    if protection.edits:
        message = f"these settings would change {listed(places) if places else 'it'}: protect it again"
        yield Finding("stale", message, manifest.where(()))
