import { Group, Stack, Text, ThemeIcon, Title } from "@mantine/core";
import { IconInbox } from "@tabler/icons-react";
import type { ReactNode } from "react";

/** What stands where there is nothing yet: why, and what to do about it. */
export function Empty({ title, children, actions, icon, order = 2 }: { title: string; children?: ReactNode; actions?: ReactNode; icon?: ReactNode; order?: 2 | 3 }) {
  return (
    <Stack className="card" align="center" gap="xs" py={40} ta="center">
      <ThemeIcon variant="light" size={44} radius="xl" aria-hidden>
        {icon ?? <IconInbox size={24} />}
      </ThemeIcon>
      <Title order={order} size="h3">{title}</Title>
      {children !== undefined && (
        <Text component="div" className="prose" c="dimmed" size="sm" maw={520}>
          {children}
        </Text>
      )}
      {actions !== undefined && <Group gap="xs" mt="xs" justify="center">{actions}</Group>}
    </Stack>
  );
}
