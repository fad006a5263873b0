import { lintGutter, setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { Compartment, EditorState } from "@codemirror/state";
import { EditorView, placeholder as placeholderOf } from "@codemirror/view";
import { basicSetup } from "codemirror";
import { useEffect, useRef } from "react";

import { editorBase, type Language } from "./editor";

export interface Mark {
  /** From 1. */
  line: number;
  /** From 1; without it the whole line is marked. */
  column?: number;
  message: string;
  severity?: "error" | "warning";
}

interface Editor {
  label: string;
  value: string;
  onChange?: (value: string) => void;
  language?: Language;
  readOnly?: boolean;
  placeholder?: string;
  minHeight?: number | string;
  maxHeight?: number | string;
  marks?: readonly Mark[];
}

/** A text editor with line numbers, search, folding and marks; Escape then Tab leaves it. */
export function CodeEditor({ label, value, onChange, language = "text", readOnly = false, placeholder = "", minHeight = 160, maxHeight = "60vh", marks }: Editor) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const changed = useRef(onChange);
  const initial = useRef(value);
  useEffect(() => {
    changed.current = onChange;
    initial.current = value;
  });
  useEffect(() => {
    if (!host.current) return;
    const writable = new Compartment();
    const made = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: initial.current,
        extensions: [
          basicSetup,
          lintGutter(),
          editorBase(language),
          placeholderOf(placeholder),
          EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
          writable.of([EditorState.readOnly.of(readOnly), EditorView.editable.of(!readOnly)]),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) changed.current?.(update.state.doc.toString());
          }),
        ],
      }),
    });
    made.scrollDOM.style.minHeight = size(minHeight);
    made.dom.style.maxHeight = size(maxHeight);
    view.current = made;
    return () => {
      made.destroy();
      view.current = null;
    };
  }, [label, language, readOnly, placeholder, minHeight, maxHeight]);
  useEffect(() => {
    const shown = view.current?.state.doc.toString();
    if (view.current && shown !== value) view.current.dispatch({ changes: { from: 0, to: shown?.length ?? 0, insert: value } });
  }, [value]);
  useEffect(() => {
    if (view.current) view.current.dispatch(setDiagnostics(view.current.state, diagnostics(view.current.state, marks ?? [])));
  }, [marks, value]);
  return <div ref={host} style={{ border: "1px solid var(--bz-line)", borderRadius: 6, overflow: "hidden", minWidth: 0 }} />;
}

function diagnostics(state: EditorState, marks: readonly Mark[]): Diagnostic[] {
  return marks
    .filter((mark) => mark.line >= 1 && mark.line <= state.doc.lines)
    .map((mark) => {
      const line = state.doc.line(mark.line);
      const from = Math.min(line.to, line.from + Math.max(0, (mark.column ?? 1) - 1));
      return { from, to: mark.column === undefined ? line.to : Math.min(line.to, from + 1), severity: mark.severity ?? "error", message: mark.message };
    })
    .sort((one, other) => one.from - other.from);
}

function size(value: number | string): string {
  return typeof value === "number" ? `${value}px` : value;
}
