import { ActionIcon, Button, Group, Stack, Text, Title } from "@mantine/core";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import type { ReactNode } from "react";

import { at, withAt, type Place } from "~/lib/document";

import type { Draft } from "./fields";

interface Items {
  draft: Draft;
  place: Place;
  title: string;
  about: ReactNode;
  /** What one of them is called. */
  one: string;
  fresh: () => unknown;
  children: (place: Place, index: number) => ReactNode;
}

/** A list within an application whose items are added, edited and removed. */
export function Items({ draft, place, title, about, one, fresh, children }: Items) {
  const value = at(draft.application, place);
  const items: unknown[] = Array.isArray(value) ? value : [];
  const put = (changed: unknown[]) => draft.change(withAt(draft.application, place, changed));
  return (
    <Stack gap="xs">
      <Group justify="space-between" align="flex-end" gap="xs">
        <div style={{ flex: "1 1 16rem" }}>
          <Title order={3} size="h3">{title}</Title>
          <Text size="xs" c="dimmed">{about}</Text>
        </div>
        {!draft.readOnly && <Button size="compact-sm" variant="default" leftSection={<IconPlus size={14} />} onClick={() => put([...items, fresh()])}>Add {one}</Button>}
      </Group>
      {items.map((_, index) => (
        <Group key={index} className="card" gap="xs" wrap="nowrap" align="flex-start" role="group" aria-label={`${one} ${index + 1}`}>
          <div style={{ flex: 1, minWidth: 0 }}>{children([...place, index], index)}</div>
          {!draft.readOnly && (
            <ActionIcon variant="subtle" color="gray" aria-label={`Remove ${one} ${index + 1}`} onClick={() => put(items.filter((__, other) => other !== index))}>
              <IconTrash size={16} />
            </ActionIcon>
          )}
        </Group>
      ))}
      {items.length === 0 && <Text size="sm" c="dimmed">None.</Text>}
    </Stack>
  );
}
