import { Button, Group, Stack, Text, Textarea } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { api, type Shapes } from "~/lib/api";
import { useCan } from "~/lib/session";

/** What people wrote about an incident, and writing more. */
export function Notes({ number, notes }: { number: string; notes: readonly Shapes["IncidentNote"][] }) {
  const may = useCan("incidentsAcknowledge");
  const client = useQueryClient();
  const [text, setText] = useState("");
  const changed = () => client.invalidateQueries({ queryKey: ["incidents"] });
  const add = useMutation({
    mutationFn: () => api.POST("/api/v1/audits/incidents/{number}/notes", { params: { path: { number } }, body: { text } }),
    onSuccess: () => {
      setText("");
      return changed();
    },
  });
  const remove = useMutation({ mutationFn: (note: string) => api.DELETE("/api/v1/audits/incidents/{number}/notes/{note}", { params: { path: { number, note } } }), onSuccess: changed });
  return (
    <Stack gap="sm" maw={760}>
      {notes.length === 0 && <Text size="sm" c="dimmed">Nobody wrote anything yet. Notes stay with the incident and stand in its timeline.</Text>}
      {notes.map((note) => (
        <div key={note._id} className="card">
          <Group justify="space-between" gap="xs" mb={4}>
            <Text size="xs" c="dimmed"><b>{note.author}</b> · <Time value={note.time} /></Text>
            {may && <Button size="compact-xs" variant="subtle" onClick={() => remove.mutate(note._id)} aria-label="Remove this note">Remove</Button>}
          </Group>
          <Text size="sm" className="break" style={{ whiteSpace: "pre-wrap" }}>{note.text}</Text>
        </div>
      ))}
      <Problem error={add.error ?? remove.error} />
      {may && (
        <>
          <Textarea label="New note" autosize minRows={3} maxLength={4000} value={text} onChange={(event) => setText(event.currentTarget.value)} />
          <Group><Button onClick={() => add.mutate()} loading={add.isPending} disabled={text.trim() === ""}>Add the note</Button></Group>
        </>
      )}
    </Stack>
  );
}
