import { Anchor, Button, Group, Loader, Stack, Tabs, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconArchive, IconArrowLeft, IconCheck, IconDownload, IconRefresh } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "react-router";

import { DataTable, type Column } from "~/components/DataTable";
import { Effect } from "~/components/Effect";
import { Facts } from "~/components/Facts";
import { Page } from "~/components/Page";
import { Problem } from "~/components/Problem";
import { Severity } from "~/components/Severity";
import { Time } from "~/components/Time";
import { api, got, raw, type Shapes } from "~/lib/api";
import { save } from "~/lib/files";
import { useCan } from "~/lib/session";

import { useCare } from "./care";
import { Notes } from "./Notes";
import { Processes } from "./Processes";
import { Timeline } from "./Timeline";
import { Care, Outcome, titleOf, type Snapshot } from "./words";

type Detail = Shapes["IncidentDetail"];
type Audit = Shapes["RuntimeAudit"];

/** Everything about one incident, and what can be done about it. */
export function IncidentDetail({ number, onBack }: { number: string; onBack: () => void }) {
  const detail = useQuery({
    queryKey: ["incidents", "one", number],
    queryFn: () => got(api.GET("/api/v1/audits/incidents/{number}", { params: { path: { number } } })),
    refetchInterval: (query) => (query.state.data?.snapshots.some((item) => item.state === "fetching") ? 1000 : 15_000),
  });
  const back = <Button variant="subtle" size="compact-sm" leftSection={<IconArrowLeft size={15} />} onClick={onBack}>All incidents</Button>;
  if (!detail.data) {
    return (
      <Page title="Incident" actions={back}>
        <Problem error={detail.error} retry={() => void detail.refetch()} />
        {detail.isPending && <Loader size="sm" aria-label="Loading" />}
      </Page>
    );
  }
  return <Shown detail={detail.data} back={back} />;
}

function Shown({ detail, back }: { detail: Detail; back: React.ReactNode }) {
  const { incident, notes } = detail;
  const looks = useCan("forensicsRead");
  return (
    <Page
      title={titleOf(incident)}
      description={
        <Group gap="xs" mt={4}>
          <Severity severity={incident.severity || "unknown"} />
          <Outcome incident={incident} />
          <Care incident={incident} />
          <span>{`Incident ${incident._id}`}</span>
        </Group>
      }
      actions={back}
    >
      <Actions detail={detail} />
      <div className="card">
        <Facts
          items={[
            ["Application", <Anchor key="app" component={Link} to={`/monitor/events?appID=${encodeURIComponent(incident.appID)}`} size="sm">{incident.appID}</Anchor>],
            ["Container", incident.containerName],
            ["Image", incident.imageName],
            ["First", <Time key="first" value={incident.time} />],
            ["Latest", <Time key="last" value={incident.lastTime} />],
            ["Audits", `${incident.auditCount.toLocaleString("en")}, ${(incident.preventedCount ?? 0).toLocaleString("en")} of them prevented`],
            ["Acknowledged", incident.seenBy ? <span key="seen">{incident.seenBy}, <Time value={incident.seenAt} /></span> : null],
            ["Defender", <Anchor key="defender" component={Link} to={`/manage/defenders?defender=${detail.defenderID}`} size="sm">{detail.defenderConnected ? "connected" : "not connected"}</Anchor>],
          ]}
        />
      </div>
      <Tabs defaultValue={looks ? "timeline" : "audits"} keepMounted={false}>
        <Tabs.List mb="sm">
          {looks && <Tabs.Tab value="timeline">Timeline</Tabs.Tab>}
          {looks && <Tabs.Tab value="processes">Processes</Tabs.Tab>}
          <Tabs.Tab value="audits">{`Audits (${incident.audits.length})`}</Tabs.Tab>
          <Tabs.Tab value="notes">{`Notes (${notes.length})`}</Tabs.Tab>
          {looks && <Tabs.Tab value="records">{`Records (${detail.snapshots.length})`}</Tabs.Tab>}
        </Tabs.List>
        <Tabs.Panel value="timeline"><Timeline incident={incident} /></Tabs.Panel>
        <Tabs.Panel value="processes"><Processes number={incident._id} /></Tabs.Panel>
        <Tabs.Panel value="audits"><Audits audits={incident.audits as Audit[]} of={incident.auditCount} /></Tabs.Panel>
        <Tabs.Panel value="notes"><Notes number={incident._id} notes={notes} /></Tabs.Panel>
        <Tabs.Panel value="records"><Records snapshots={detail.snapshots} /></Tabs.Panel>
      </Tabs>
    </Page>
  );
}

function Actions({ detail }: { detail: Detail }) {
  const { incident } = detail;
  const may = useCan("incidentsAcknowledge");
  const fetches = useCan("forensicsFetch");
  const care = useCare();
  const client = useQueryClient();
  const fetchRecord = useMutation({
    mutationFn: () => api.POST("/api/v1/forensics", { body: { appID: "", defenderID: detail.defenderID, container: incident.containerName ?? "", reason: `incident ${incident._id}` } }),
    onSuccess: () => {
      notifications.show({ message: "The record is being fetched." });
      return client.invalidateQueries({ queryKey: ["incidents"] });
    },
  });
  const ids = [incident._id];
  return (
    <>
      <Group gap="xs">
        {may && (
          <Button leftSection={<IconCheck size={16} />} variant={incident.acknowledged ? "default" : "filled"} loading={care.isPending} onClick={() => care.mutate({ ids, acknowledged: !incident.acknowledged })}>
            {incident.acknowledged ? "Open again" : "Acknowledge"}
          </Button>
        )}
        {may && (
          <Button variant="default" leftSection={<IconArchive size={16} />} onClick={() => care.mutate({ ids, archived: !incident.archived })}>{incident.archived ? "Bring back" : "Archive"}</Button>
        )}
        {fetches && (
          <Button variant="default" leftSection={<IconRefresh size={16} />} disabled={!detail.defenderConnected} loading={fetchRecord.isPending} title={detail.defenderConnected ? undefined : "The Defender is not connected"} onClick={() => fetchRecord.mutate()}>
            Fetch the record now
          </Button>
        )}
      </Group>
      <Problem error={care.error ?? fetchRecord.error} />
    </>
  );
}

const AUDIT_COLUMNS: readonly Column<Audit>[] = [
  { key: "time", title: "Time", width: 130, render: (row) => <Time value={row.time} />, sort: (row) => row.time },
  { key: "effect", title: "Effect", width: 110, render: (row) => <Effect effect={row.effect} />, sort: (row) => row.effect },
  { key: "msg", title: "Message", render: (row) => row.msg },
  { key: "command", title: "Command", render: (row) => <code>{row.command}</code> },
  { key: "techniques", title: "Techniques", width: 130, render: (row) => (row.attackTechniques ?? []).join(", ") },
];

function Audits({ audits, of }: { audits: readonly Audit[]; of: number }) {
  return (
    <Stack gap="xs">
      <DataTable label="Audits" columns={AUDIT_COLUMNS} rows={audits} rowKey={(row) => row._id ?? row.time} wrap maxHeight="60vh" />
      {of > audits.length && <Text size="xs" c="dimmed">{`The first ${audits.length} of ${of.toLocaleString("en")} are kept with the incident.`}</Text>}
    </Stack>
  );
}

const RECORD_COLUMNS: readonly Column<Snapshot>[] = [
  { key: "time", title: "Asked for", width: 150, render: (row) => <Time value={row.time} /> },
  { key: "state", title: "State", width: 110, render: (row) => row.state },
  { key: "reason", title: "Why", render: (row) => row.reason },
  { key: "events", title: "Events", width: 110, align: "end", render: (row) => row.eventCount.toLocaleString("en") },
  { key: "missed", title: "Missed", width: 100, align: "end", render: (row) => row.missedCount.toLocaleString("en") },
  {
    key: "download",
    title: "",
    width: 190,
    align: "end",
    render: (row) => (
      <Group gap={4} justify="flex-end">
        {(["json", "csv"] as const).map((format) => (
          <Button key={format} size="compact-xs" variant="default" leftSection={<IconDownload size={13} />} disabled={row.eventCount === 0} onClick={() => void download(row._id, format)} aria-label={`Download record ${row._id} as ${format === "json" ? "JSON lines" : "CSV"}`}>
            {format === "json" ? "JSONL" : "CSV"}
          </Button>
        ))}
      </Group>
    ),
  },
];

async function download(number: string, format: "json" | "csv"): Promise<void> {
  const answer = await raw(`/api/v1/forensics/${number}/download?format=${format}`);
  save(await answer.blob(), `forensics-${number}.${format === "json" ? "jsonl" : "csv"}`);
}

function Records({ snapshots }: { snapshots: readonly Snapshot[] }) {
  if (snapshots.length === 0) return <Text size="sm" c="dimmed">No record was fetched. A minute after an incident the Console asks the Defender for it, and for a quarter of an hour again if it is away.</Text>;
  return <DataTable label="Records" columns={RECORD_COLUMNS} rows={snapshots} rowKey={(row) => row._id} />;
}
