import { Alert, Button, Group, List, Loader, Modal, Stack, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { DiffView } from "~/components/DiffView";
import { Problem } from "~/components/Problem";
import { api, got } from "~/lib/api";

/** Show what would have to change so that an event is let through, and change it. */
export function AllowEvent({ event, kind, opened, onClose }: { event: string; kind: string; opened: boolean; onClose: () => void }) {
  const title = kind === "waas" ? "Add as exception" : "Allow this";
  return (
    <Modal opened={opened} onClose={onClose} title={title} size="xl" closeButtonProps={{ "aria-label": "Close" }}>
      {opened && <Body event={event} kind={kind} onClose={onClose} />}
    </Modal>
  );
}

function Body({ event, kind, onClose }: { event: string; kind: string; onClose: () => void }) {
  const client = useQueryClient();
  const preview = useQuery({
    queryKey: ["events", event, "allow"],
    queryFn: () => got(api.POST("/api/v1/events/{event}/allow", { params: { path: { event }, query: { dryRun: true } } })),
    retry: false,
    staleTime: 0,
    gcTime: 0,
  });
  const apply = useMutation({
    mutationFn: () => got(api.POST("/api/v1/events/{event}/allow", { params: { path: { event }, query: { revision: preview.data?.revision } } })),
    onSuccess: (done) => {
      notifications.show({ message: `The rule ${done.ruleName} was changed; Defenders get it now.` });
      void client.invalidateQueries({ predicate: (query) => query.queryKey[0] !== "session" && query.queryKey[2] !== "allow" });
      onClose();
    },
  });
  if (preview.isPending) return <Group justify="center" p="lg"><Loader aria-label="Looking at the rule" /></Group>;
  if (preview.error) {
    return (
      <Stack>
        <Problem title="This cannot be allowed from here" error={preview.error} />
        <Group justify="flex-end"><Button variant="default" onClick={onClose}>Close</Button></Group>
      </Stack>
    );
  }
  const { ruleName, changes, customRule, warnings, before, after } = preview.data;
  return (
    <Stack gap="sm">
      <Text size="sm">
        {kind === "waas" ? "The place of this request is left out of the protection that found it, in the rule " : "Just what this event tells of is let through by the rule "}
        <b className="break">{ruleName}</b>:
      </Text>
      <List size="sm" className="break">
        {changes.map((change) => (
          <List.Item key={`${change.field} ${change.entry}`}>
            {change.added ? "Add" : "Remove"} <code>{change.entry}</code> {change.added ? "to" : "from"} <code>{change.field}</code>
          </List.Item>
        ))}
      </List>
      {customRule && (
        <Alert variant="default" title="A custom rule is made for it">
          <Text size="sm">No list can say this without allowing more, so a custom rule, asked before everything else, allows exactly this:</Text>
          <pre className="break" style={{ whiteSpace: "pre-wrap", margin: "6px 0 0" }}>{customRule.script}</pre>
        </Alert>
      )}
      {(warnings ?? []).map((warning) => <Alert key={warning} color="yellow" variant="light" className="break">{warning}</Alert>)}
      <DiffView label="The rule" before={JSON.stringify(before, null, 2)} after={JSON.stringify(after, null, 2)} language="json" unified maxHeight="40vh" />
      <Problem title="The rule is unchanged" error={apply.error} retry={() => { apply.reset(); void preview.refetch(); }} />
      <Group justify="space-between">
        <Text size="xs" c="dimmed" maw={420}>Another part of the rule may still object: then the next event says which.</Text>
        <Group gap="xs">
          <Button variant="default" onClick={onClose}>Cancel</Button>
          <Button loading={apply.isPending} onClick={() => apply.mutate()} data-autofocus>Change the rule</Button>
        </Group>
      </Group>
    </Stack>
  );
}
