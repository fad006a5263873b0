import { Group, Text } from "@mantine/core";

import { asked, type ScopeValue } from "~/lib/scope";

const MOST_SHOWN = 3;

/** What a scope asks for, in one line. */
export function ScopeSummary({ scope }: { scope: ScopeValue }) {
  const fields = asked(scope);
  if (fields.length === 0) return <Text component="span" size="sm" c="dimmed">everything</Text>;
  return (
    <Group component="span" gap="2px 14px" wrap="wrap">
      {fields.map(({ key, one, title, patterns }) => (
        <span key={key} className="break">
          <Text component="span" size="sm" c="dimmed">{patterns.length === 1 ? one : title.toLowerCase().replace("app ids", "App IDs")} </Text>
          <span className="mono">{patterns.slice(0, MOST_SHOWN).join(", ")}</span>
          {patterns.length > MOST_SHOWN && <Text component="span" size="sm" c="dimmed"> and {patterns.length - MOST_SHOWN} more</Text>}
        </span>
      ))}
    </Group>
  );
}
