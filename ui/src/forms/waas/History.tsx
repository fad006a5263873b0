import { Button, Group, Stack, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { Changes } from "~/components/Changes";
import { Confirm } from "~/components/Confirm";
import { DataTable } from "~/components/DataTable";
import { Empty } from "~/components/Empty";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { api, got } from "~/lib/api";

/** Every state of the WAAS policy: who made it, when, why, what it changed; and the way back. */
export function History({ mayWrite }: { mayWrite: boolean }) {
  const client = useQueryClient();
  const [chosen, setChosen] = useState<number | null>(null);
  const [restoring, setRestoring] = useState<number | null>(null);
  const revisions = useQuery({ queryKey: ["waas", "revisions"], queryFn: () => got(api.GET("/api/v1/policies/firewall/app/app-embedded/revisions", { params: { query: { limit: 250 } } })) });
  const rows = revisions.data ?? [];
  const index = rows.findIndex((row) => row.revision === chosen);
  const before = rows[index + 1]?.revision ?? 0;
  if (revisions.data && rows.length === 0) return <Empty title="There is no history yet">Every change of the WAAS policy will stand here, with who made it and why.</Empty>;
  return (
    <Stack gap="md">
      <Problem error={revisions.error} />
      <DataTable
        label="Revisions"
        rows={rows}
        rowKey={(row) => row.revision}
        chosen={chosen}
        onOpen={(row) => setChosen(row.revision)}
        maxHeight="38vh"
        columns={[
          { key: "revision", title: "Revision", width: 100, render: (row) => row.revision },
          { key: "author", title: "By", width: 160, render: (row) => row.author },
          { key: "time", title: "When", width: 170, render: (row) => <Time value={row.time} /> },
          { key: "comment", title: "Why", render: (row) => row.comment || <Text component="span" size="sm" c="dimmed">–</Text> },
        ]}
      />
      {chosen !== null && (
        <section className="card" aria-label={`What revision ${chosen} changed`}>
          <Group justify="space-between" mb="xs">
            <Text fw={600} size="sm">What revision {chosen} changed</Text>
            {mayWrite && index > 0 && <Button size="compact-sm" variant="default" onClick={() => setRestoring(chosen)}>Put revision {chosen} in force again</Button>}
          </Group>
          <Difference before={before} after={chosen} />
        </section>
      )}
      <Confirm
        opened={restoring !== null}
        onClose={() => setRestoring(null)}
        title={`Back to revision ${restoring ?? ""}?`}
        action="Put in force"
        onConfirm={async () => {
          await api.POST("/api/v1/policies/firewall/app/app-embedded/revisions/{number}/restore", { params: { path: { number: restoring ?? 0 } } });
          notifications.show({ message: `The policy of revision ${restoring} is in force, as a new revision.` });
          await client.invalidateQueries({ queryKey: ["waas"] });
        }}
      >
        What was changed since stays in the history; Defenders get the policy at once.
      </Confirm>
    </Stack>
  );
}

function Difference({ before, after }: { before: number; after: number }) {
  const found = useQuery({ queryKey: ["waas", "difference", before, after], queryFn: () => got(api.GET("/api/v1/policies/firewall/app/app-embedded/revisions/difference", { params: { query: { before, after } } })) });
  return (
    <>
      <Problem error={found.error} />
      {found.data && <Changes changes={found.data.changes} />}
    </>
  );
}
