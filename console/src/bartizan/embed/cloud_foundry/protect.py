"""Protecting a manifest, and taking the protection out again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bartizan.embed import edit, yaml_rewrite
from bartizan.embed.cloud_foundry import plan, report, start_command, undo
from bartizan.embed.cloud_foundry.manifest import Manifest, command_at, read
from bartizan.embed.cloud_foundry.plan import Earlier, Known, Plan
from bartizan.embed.cloud_foundry.report import ManifestReport
from bartizan.embed.cloud_foundry.settings import OWN_ENVIRONMENT, ManifestSettings
from bartizan.embed.edit import Edit
from bartizan.embed.errors import EmbedError
from bartizan.embed.json_text import Value, place
from bartizan.embed.launch import ImageConfig
from bartizan.embed.rewrite import same
from bartizan.embed.undo import digest


@dataclass(frozen=True, slots=True)
class ManifestProtection:
    """A protected manifest: the edits of the text given, their result, and what to tell people."""

    edits: tuple[Edit, ...]
    text: str
    report: ManifestReport

    @property
    def folders(self) -> dict[str, str | None]:
        """The `path` of the apps beside which the Defender has to lie, by app, as the manifest writes it."""
        return {app.name: app.path for app in self.report.apps if app.app_id and not app.image}


@dataclass(frozen=True, slots=True)
class Installed:
    """Which apps of a manifest start under the Defender: their `path` by name, and the SHA-256 of what lies there."""

    folders: dict[str, str | None]
    defender: str


@dataclass(frozen=True, slots=True)
class AppFolder:
    """An app as it was written: its name, its `path`, and the image it runs instead of a droplet."""

    name: str
    path: str | None
    image: str | None


def protect(
    text: str,
    *,
    settings: ManifestSettings,
    procfiles: Mapping[str, str] | None = None,
    images: Mapping[str, ImageConfig] | None = None,
) -> ManifestProtection:
    """Put what a manifest starts under the Defender.

    `procfiles` are the texts of Procfiles by app, `images` says what images start by reference; both are asked where
    the manifest names no command. What is protected already is upgraded in place; when it is up to date there are no
    edits. Raises `EmbedError` for what cannot be protected.
    """
    given = read(text)
    found = undo.find(text)
    original, back = _without_protection(given, found)
    planned = plan.make(original, Known(procfiles or {}, images or {}, _earlier(given)), settings)
    done = report.of(planned, settings, dict(procfiles or {}))
    edits, record = _edits(planned, settings.defender or (found.record.defender if found else ""))
    result = edit.apply(original.document.text, edits)
    _check(result, planned)
    if found is not None:
        done = replace(done, upgraded_from=found.version)
        unchanged = found.version == settings.version and undo.same_but_edits(found.record, record)
        if unchanged and undo.exact(text, found) is not None:
            return ManifestProtection((), text, replace(done, unchanged=True))
    comment = undo.comment(original.document.text, result, settings.version, record)
    end = len(original.document.text)
    edits = (*edits, Edit(end, end, comment, "", "the way back, for unprotect"))
    return ManifestProtection(
        edit.compose(text, back, edits) if back else edits, edit.apply(original.document.text, edits), done
    )


def unprotect(text: str) -> str:
    """Return the manifest as it was before `protect`, byte for byte when it has not been touched since.

    What was laid out anew or changed since keeps its layout and its changes, and only loses the protection. Raises
    `EmbedError` when there is no protection to take out.
    """
    given = read(text)
    found = undo.find(text)
    if found is None and not _is_wrapped(given):
        raise EmbedError("this manifest carries no protection: nothing in it starts under the Defender")
    return _without_protection(given, found)[0].document.text


def is_manifest(text: str) -> bool:
    """Return whether a text is a manifest of Cloud Foundry, rather than a definition of another kind."""
    try:
        return not _OTHERS & read(text).value.keys()
    except EmbedError:
        return False


_OTHERS = frozenset({"containerDefinitions", "taskDefinition", "family", "Resources", "AWSTemplateFormatVersion"})


def app_folders(text: str) -> tuple[AppFolder, ...]:
    """Return where the apps of a manifest lie; raise `EmbedError` for a text that is none."""
    return tuple(AppFolder(app.name, app.folder, app.image) for app in read(text).apps)


def installed(text: str) -> Installed:
    """Return what an earlier protection needs to lie where; raise `EmbedError` for a text that is no manifest."""
    given, found = read(text), undo.find(text)
    apps = [app for app in given.apps if any(start_command.unwrap(start.line or "") for start in app.starts)]
    folders = {app.name: app.folder for app in apps if app.image is None}
    return Installed(folders, found.record.defender if found else "")


def explain_protection(text: str) -> tuple[Edit, ...]:
    """Return the edits of an earlier `protect`, of the text it was given, each with its reason.

    Raises `EmbedError` when there is no protection.
    """
    original = read(unprotect(text))
    edits = yaml_rewrite.rewrite(original.document, original.document.root, read(text).value)
    return tuple(replace(each, why=each.why or _why(each)) for each in edits)


def _without_protection(given: Manifest, found: undo.Comment | None) -> tuple[Manifest, tuple[Edit, ...]]:
    """Return the manifest without any protection, and the edits that lead there."""
    text = given.document.text
    back = undo.exact(text, found) if found is not None else None
    if back is None:
        if found is None and not _is_wrapped(given):
            return given, ()
        value = undo.restored(given, found.record if found else None)
        back = yaml_rewrite.rewrite(given.document, given.document.root, value)
        if found is not None:
            back = tuple(sorted([*back, undo.comment_gone(text, found)], key=lambda made: (made.start, made.end)))
        back = tuple(replace(made, why="as it was before") for made in back)
    try:
        original = read(edit.apply(text, back), lambda offset: place(text, edit.offset_before(back, offset)))
    except EmbedError as error:
        raise EmbedError(f"without its protection this is no manifest: {error.message}", error.where) from None
    except ValueError:
        raise EmbedError("the protection cannot be told from what was changed since: take it out by hand") from None
    if _is_wrapped(original):
        raise EmbedError("the comment of Bartizan's does not take the protection out: remove that line and try again")
    return original, back


def _is_wrapped(manifest: Manifest) -> bool:
    return any(
        start_command.unwrap(command_at(manifest.value, path) or "") is not None
        for app in manifest.apps
        for start in app.starts
        for path in start.places
    )


def _earlier(given: Manifest) -> Earlier:
    """Return what a protected manifest says of the lines and names it was protected with."""
    lines = {}
    app_ids = {}
    for app in given.apps:
        for start in app.starts:
            wrapped = start_command.unwrap(start.line or "")
            if wrapped is not None:
                lines[start.key] = wrapped.line
                app_ids[app.name] = str(app.environment.get("DEFENDER_ID") or "")
    return Earlier(lines=lines, app_ids=app_ids)


def _edits(planned: Plan, defender: str) -> tuple[tuple[Edit, ...], undo.Record]:
    """Return the edits of a plan, and the record of the way back."""
    document = planned.manifest.document
    made = _with_aliases(planned, yaml_rewrite.rewrite(document, document.root, planned.desired))
    edits = tuple(replace(each, why=each.why or _why(each)) for each in made)
    text = document.text
    protected = [app for app in planned.apps if app.app_id]
    record = undo.Record(
        digest=digest(edit.apply(text, edits)),
        edits=[(back.start, back.end, back.replacement) for back in edit.reverse(text, edits)],
        added=[
            each.start.key
            for app in protected
            for each in app.starts
            if each.skipped is None and _holds_none(planned.manifest.value, each.start.places[1:] or each.start.places)
        ],
        environment={
            app.app.name: {name: item for name, item in app.app.environment.items() if name in OWN_ENVIRONMENT}
            if isinstance(app.app.value.get("env"), dict)
            else None
            for app in protected
        },
        skipped=[each.start.key for app in planned.apps for each in app.starts if each.skipped is not None],
        defender=defender,
    )
    return edits, record


def _with_aliases(planned: Plan, edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
    """Return `edits` without those that write an alias out, as far as the text then says the same.

    What an app merges from another (`<<: *other`) may change there: the app says itself what is its own.
    """
    text = planned.manifest.document.text
    spans = {(alias.start, alias.end) for alias in planned.manifest.document.aliases}
    written_out = [made for made in edits if (made.start, made.end) in spans and not made.pointer]
    for alias in written_out[:_ALIASES_TRIED]:
        fewer = tuple(made for made in edits if made is not alias)
        try:
            if same(read(edit.apply(text, fewer)).value, planned.desired):
                edits = fewer
        except EmbedError:
            continue
    return edits


_ALIASES_TRIED = 100


def _holds_none(value: Value, places: Sequence[tuple[str | int, ...]]) -> bool:
    return all(command_at(value, path) is None for path in places)


def _why(made: Edit) -> str:
    last = made.pointer.rpartition("/")[2]
    if last == "command":
        return "starts under the Defender"
    if last in OWN_ENVIRONMENT or last == "env":
        return "tells the Defender what it is called and where its Console is"
    return "part of the protection"


def _check(result: str, planned: Plan) -> None:
    """Raise `EmbedError` unless `result`, read again, says what was planned and nothing else has changed."""
    message = "the layout of the manifest cannot be kept: write it in plain block style and try again"
    try:
        again = read(result)
    except EmbedError as error:
        raise EmbedError(f"{message}: {error.message}") from None
    if not same(again.value, planned.desired):
        raise EmbedError(message)
