import { Button, Group } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "~/lib/api";

interface Change {
  ids: readonly string[];
  acknowledged?: boolean;
  archived?: boolean;
}

/** Acknowledge, open again, archive and bring back incidents; each can be undone from its message. */
export function useCare() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (change: Change) => {
      const { ids, acknowledged = null, archived = null } = change;
      await api.PATCH("/api/v1/audits/incidents", { body: { ids: [...ids], acknowledged, archived } });
    },
    onSuccess: async (_, change) => {
      await client.invalidateQueries({ queryKey: ["incidents"] });
      const id = `care-${Date.now()}`;
      const undo = async () => {
        notifications.hide(id);
        const turned = (value: boolean | undefined) => (value === undefined ? null : !value);
        const body = { ids: [...change.ids], acknowledged: turned(change.acknowledged), archived: turned(change.archived) };
        await api.PATCH("/api/v1/audits/incidents", { body });
        await client.invalidateQueries({ queryKey: ["incidents"] });
      };
      notifications.show({
        id,
        autoClose: 8000,
        message: (
          <Group justify="space-between" gap="xs">
            <span>{said(change)}</span>
            <Button size="compact-xs" variant="default" onClick={() => void undo()}>Undo</Button>
          </Group>
        ),
      });
    },
  });
}

function said({ ids, acknowledged, archived }: Change): string {
  const what = ids.length === 1 ? "The incident is" : `${ids.length} incidents are`;
  if (archived !== undefined) return `${what} ${archived ? "archived" : "listed again"}.`;
  return `${what} ${acknowledged ? "acknowledged" : "open again"}.`;
}
