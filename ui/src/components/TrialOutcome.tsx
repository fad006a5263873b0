import { Alert, Group, Stack, Text } from "@mantine/core";
import { IconArrowRight } from "@tabler/icons-react";

import { DataTable } from "~/components/DataTable";
import { Effect } from "~/components/Effect";
import { Time } from "~/components/Time";
import type { Shapes } from "~/lib/api";

type Case = Shapes["TrialCase"];

/** What a policy would have done about what happened. */
export function TrialOutcome({ trial }: { trial: Shapes["TrialAnswer"] }) {
  const judged = trial.audits + trial.observations;
  if (judged === 0) {
    return <Alert variant="default" title="There is nothing to try it on">No audit and no observation is that young. Rules show their effect here once workloads have run under a Defender for a while.</Alert>;
  }
  return (
    <Stack gap="xs">
      <Group gap="lg" wrap="wrap">
        <Figure label="would be stopped" now={trial.after.prevent} before={trial.before.prevent} effect="prevent" />
        <Figure label="would be reported" now={trial.after.alert} before={trial.before.alert} effect="alert" />
        <Figure label="would pass" now={trial.after.allow} before={trial.before.allow} effect="allow" />
      </Group>
      <Text size="xs" c="dimmed">
        Judged by the Defender's own program: {counted(trial.audits, "audit")} and {counted(trial.observations, "observed fact")} since <Time value={trial.start} />, {trial.after.cases.toLocaleString("en")} of them different.
        {!trial.complete && " There was more than is judged at once: only the newest counts."}
      </Text>
      {trial.cases.length > 0 && (
        <DataTable
          label="What the rule speaks of"
          rows={trial.cases.map((item, index) => ({ ...item, index }))}
          rowKey={(row) => row.index}
          maxHeight={320}
          columns={[
            { key: "what", title: "What happened", render: (row) => <span className="mono" title={row.what}>{row.what}</span> },
            { key: "where", title: "Where", width: 190, render: (row) => row.container || row.appID || row.image },
            { key: "count", title: "Times", width: 80, align: "end", sort: (row) => row.count, render: (row) => row.count.toLocaleString("en") },
            { key: "decision", title: "Now, and with this", width: 190, render: (row) => <Decision row={row} /> },
          ]}
        />
      )}
      {trial.more > 0 && <Text size="xs" c="dimmed">And {trial.more.toLocaleString("en")} more.</Text>}
    </Stack>
  );
}

function Figure({ label, now, before, effect }: { label: string; now: number; before: number; effect: string }) {
  return (
    <div>
      <Group gap={6} align="baseline">
        <Text component="span" fw={620} size="xl">{now.toLocaleString("en")}</Text>
        <Effect effect={effect} />
      </Group>
      <Text size="xs" c="dimmed">{label}{now !== before && `, now ${before.toLocaleString("en")}`}</Text>
    </div>
  );
}

function Decision({ row }: { row: Case }) {
  if (row.before.effect === row.after.effect) return <Effect effect={row.after.effect} />;
  return (
    <Group gap={4} wrap="nowrap" component="span">
      <Effect effect={row.before.effect} />
      <IconArrowRight size={13} aria-label="becomes" />
      <Effect effect={row.after.effect} />
    </Group>
  );
}

function counted(number: number, what: string): string {
  return `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
}
