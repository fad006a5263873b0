import { Group, Stack, Text } from "@mantine/core";

import type { Shapes } from "~/lib/api";
import { Tag, type Tone } from "~/ui/Tag";

type Change = Shapes["RuleDifference"];

const TONES: Record<Change["kind"], Tone> = { added: "good", removed: "bad", changed: "info", moved: "mute" };
const SIGNS: Record<string, string> = { added: "+", removed: "−", same: " ", gap: "⋯" };
const GROUNDS: Record<string, string | undefined> = { added: "var(--bz-good-ground)", removed: "var(--bz-bad-ground)" };

/** What became of the rules of a policy, each with the lines that tell it. */
export function Changes({ changes }: { changes: readonly Change[] }) {
  if (changes.length === 0) return <Text size="sm" c="dimmed">Nothing differs.</Text>;
  return (
    <Stack gap="sm">
      {changes.map((change, index) => (
        <div key={index}>
          <Group gap={8}>
            <Tag tone={TONES[change.kind]}>{change.kind}</Tag>
            <Text size="sm" fw={600} className="break">{change.rule}</Text>
            {change.kind === "moved" && <Text size="sm" c="dimmed">from place {change.before} to {change.after}</Text>}
          </Group>
          {change.lines.length > 0 && (
            <pre tabIndex={0} role="group" aria-label={`Changes of ${change.rule}`} style={{ margin: "6px 0 0", border: "1px solid var(--bz-line)", borderRadius: 6, overflow: "auto", maxHeight: 340, lineHeight: 1.55 }}>
              {change.lines.map((line, number) => (
                <div key={number} style={{ background: GROUNDS[line.kind], padding: "0 10px", minWidth: "max-content" }}>{`${SIGNS[line.kind] ?? " "} ${line.text}`}</div>
              ))}
            </pre>
          )}
        </div>
      ))}
    </Stack>
  );
}
