import type { ReactNode } from "react";

import style from "./tag.module.css";

export type Tone = "critical" | "bad" | "warn" | "good" | "info" | "mute";

/** A short word with a colour; the word alone carries the meaning. */
export function Tag({ tone, children, dot = true }: { tone: Tone; children: ReactNode; dot?: boolean }) {
  return <span className={`${style.tag} ${style[tone]} ${dot ? "" : style.plain}`}>{children}</span>;
}
