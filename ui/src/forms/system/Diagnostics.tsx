import { Alert, Button, Group, List, Stack } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck } from "@tabler/icons-react";

import { Facts } from "~/components/Facts";
import type { Shapes } from "~/lib/api";
import { bytes } from "~/lib/bytes";
import { save } from "~/lib/files";

/** How the Console is: what is wrong, and the numbers that tell it. */
export function Diagnostics({ system }: { system: Shapes["SystemAnswer"] }) {
  const well = system.problems.length === 0;
  return (
    <Stack gap="md">
      <Alert
        variant="default"
        icon={well ? <IconCircleCheck color="var(--mantine-color-green-6)" /> : <IconAlertTriangle color="var(--mantine-color-error)" />}
        title={well ? "Everything works" : "Something is wrong"}
      >
        {well ? "The database answers, audits are written, there is room on the disk, and no certificate ends within 30 days." : (
          <List size="sm">{system.problems.map((problem) => <List.Item key={problem.message}>{problem.message}</List.Item>)}</List>
        )}
      </Alert>
      <Facts
        items={[
          ["Audits written", `${system.auditsWritten.toLocaleString("en")} since the start`],
          ["Audits waiting", system.auditsWaiting.toLocaleString("en")],
          ["Batches not written", system.auditFailures.toLocaleString("en")],
          ["Database", bytes(system.databaseBytes)],
          ["Free beside the data", bytes(system.freeBytes)],
        ]}
      />
      <Group>
        <Button variant="default" onClick={() => save(JSON.stringify(system, null, 2), "bartizan-diagnostics.json", "application/json")}>Download for a report</Button>
      </Group>
      <Alert variant="default" title="Watch it from outside">
        Probes ask <code>/api/v1/_health</code>, without a log-in: 503 means that something stops its work. Prometheus scrapes <code>/metrics</code> with an API token that has the permission <code>systemRead</code>.
      </Alert>
    </Stack>
  );
}
