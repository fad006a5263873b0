import { Group, Stack, Text } from "@mantine/core";

import type { Shapes } from "~/lib/api";
import { Tag, type Tone } from "~/ui/Tag";

import style from "./rule-changes.module.css";

const TONES: Record<string, Tone> = { added: "good", removed: "bad", changed: "info", moved: "mute" };
const SIGNS: Record<string, string> = { added: "+", removed: "−", same: " ", gap: "…" };

/** What differs between two policies: each rule with the lines of YAML that came and went. */
export function RuleChanges({ changes, nothing = "Nothing differs." }: { changes: readonly Shapes["RuleDifference"][]; nothing?: string }) {
  if (changes.length === 0) return <Text size="sm" c="dimmed">{nothing}</Text>;
  return (
    <Stack gap="xs" role="list" aria-label="Changes">
      {changes.map((change, index) => (
        <div key={index} role="listitem" className={style.change}>
          <Group gap="xs" className={style.head}>
            <Tag tone={TONES[change.kind] ?? "mute"}>{change.kind}</Tag>
            <Text component="span" fw={600} size="sm" className="break">{change.rule}</Text>
            <Text component="span" size="xs" c="dimmed">{place(change)}</Text>
          </Group>
          {change.lines.length > 0 && (
            <pre className={style.lines} tabIndex={0} aria-label={`Lines of ${change.rule}`}>
              {change.lines.map((line, number) => (
                <span key={number} className={`${style.line} ${style[line.kind] ?? ""}`}>
                  <span className={style.sign}>{SIGNS[line.kind]}</span>
                  {line.text}
                  {"\n"}
                </span>
              ))}
            </pre>
          )}
        </div>
      ))}
    </Stack>
  );
}

function place({ kind, before, after }: Shapes["RuleDifference"]): string {
  if (kind === "moved") return `from place ${before} to ${after}`;
  return kind === "removed" ? `was at place ${before}` : `at place ${after}`;
}
