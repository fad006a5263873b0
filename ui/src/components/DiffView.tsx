import { MergeView, unifiedMergeView } from "@codemirror/merge";
import { EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { useMediaQuery } from "@mantine/hooks";
import { minimalSetup } from "codemirror";
import { useEffect, useRef } from "react";

import { editorBase, type Language } from "./editor";

interface Diff {
  /** What is compared, for screen readers. */
  label: string;
  before: string;
  after: string;
  language?: Language;
  /** One column with removed lines above added ones, instead of two side by side; always so on narrow screens. */
  unified?: boolean;
  maxHeight?: number | string;
}

/** Two texts and what differs; long equal parts are folded. */
export function DiffView({ label, before, after, language = "text", unified = false, maxHeight = "60vh" }: Diff) {
  const host = useRef<HTMLDivElement>(null);
  const narrow = useMediaQuery("(max-width: 900px)", false, { getInitialValueInEffect: false });
  useEffect(() => {
    if (!host.current) return;
    const base = (name: string) => [
      minimalSetup,
      editorBase(language),
      EditorState.readOnly.of(true),
      EditorView.editable.of(false),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ "aria-label": `${label}: ${name}`, tabindex: "0" }),
    ];
    const collapseUnchanged = { margin: 3, minSize: 6 };
    const made =
      unified || narrow
        ? new EditorView({ parent: host.current, doc: after, extensions: [base("changes"), unifiedMergeView({ original: before, mergeControls: false, collapseUnchanged })] })
        : new MergeView({ parent: host.current, a: { doc: before, extensions: base("before") }, b: { doc: after, extensions: base("after") }, collapseUnchanged, gutter: true });
    return () => made.destroy();
  }, [label, before, after, language, unified, narrow]);
  return <div ref={host} role="group" aria-label={label} style={{ border: "1px solid var(--bz-line)", borderRadius: 6, overflow: "auto", maxHeight, minWidth: 0 }} />;
}
