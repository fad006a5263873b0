import { Group, Stack, Text, Title } from "@mantine/core";
import { useEffect, type ReactNode } from "react";

/** The frame of a page: its one `h1`, what it is for, and what can be done on it. */
export function Page({ title, description, actions, children }: { title: string; description?: ReactNode; actions?: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Bartizan`;
  }, [title]);
  return (
    <Stack gap="md">
      <Group justify="space-between" align="flex-start" gap="sm">
        <div style={{ flex: "1 1 20rem", minWidth: 0 }}>
          <Title order={1}>{title}</Title>
          {description !== undefined && (
            <Text component="div" className="prose" c="dimmed" size="sm" mt={2} maw={760}>
              {description}
            </Text>
          )}
        </div>
        {actions !== undefined && <Group gap="xs">{actions}</Group>}
      </Group>
      {children}
    </Stack>
  );
}
