import { json } from "@codemirror/lang-json";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import type { Extension } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { tags } from "@lezer/highlight";

import { styleNonce } from "~/lib/nonce";

export type Language = "json" | "yaml" | "text";

const LOOK = EditorView.theme({
  "&": { fontSize: "12.5px", backgroundColor: "var(--bz-surface)", color: "var(--mantine-color-text)" },
  "&.cm-focused": { outline: "2px solid var(--mantine-primary-color-filled)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "var(--mantine-font-family-monospace)", lineHeight: "1.55", fontVariantLigatures: "none" },
  ".cm-gutters": { backgroundColor: "var(--bz-surface)", color: "var(--mantine-color-dimmed)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--bz-hover) 60%, transparent)" },
  ".cm-cursor": { borderLeftColor: "var(--mantine-color-text)" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "color-mix(in srgb, var(--mantine-primary-color-filled) 30%, transparent) !important" },
  ".cm-placeholder": { color: "var(--mantine-color-dimmed)" },
  ".cm-foldPlaceholder, .cm-panels, .cm-tooltip": { backgroundColor: "var(--bz-mute-ground)", color: "var(--mantine-color-text)", borderColor: "var(--bz-line)" },
  ".cm-changedLine, &.cm-merge-b .cm-changedLine": { backgroundColor: "var(--bz-good-ground)" },
  "&.cm-merge-a .cm-changedLine, .cm-deletedChunk": { backgroundColor: "var(--bz-bad-ground)" },
  ".cm-changedText, &.cm-merge-b .cm-changedText": { background: "color-mix(in srgb, var(--bz-good) 14%, transparent)" },
  "&.cm-merge-a .cm-changedText, .cm-deletedChunk .cm-deletedText": { background: "color-mix(in srgb, var(--bz-bad) 14%, transparent)" },
  ".cm-collapsedLines": { background: "var(--bz-mute-ground)", color: "var(--bz-mute)" },
});

const COLOURS = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--bz-info)" },
  { tag: tags.string, color: "var(--bz-good)" },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: "var(--bz-warn)" },
  { tag: tags.comment, color: "var(--mantine-color-dimmed)", fontStyle: "italic" },
]);

/** What every editor of ours has: our look, colours for the language, and the page's nonce for its styles. */
export function editorBase(language: Language): Extension[] {
  const languages: Extension[] = language === "json" ? [json()] : language === "yaml" ? [yaml()] : [];
  return [LOOK, syntaxHighlighting(COLOURS), EditorView.cspNonce.of(styleNonce()), ...languages];
}
