import { Group, Loader, MultiSelect, SegmentedControl, Stack, Switch, Text } from "@mantine/core";
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";

import { DataTable, type Column } from "~/components/DataTable";
import { Effect } from "~/components/Effect";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { api, got } from "~/lib/api";
import { Tag, type Tone } from "~/ui/Tag";

import type { Incident, TimelineEntry } from "./words";

const KINDS: Record<string, string> = { audit: "Audit", process: "Program", lookup: "Look-up", connection: "Connection", listen: "Port", file: "File", defender: "Defender", note: "Note", care: "Care" };
const TONES: Record<string, Tone> = { audit: "bad", note: "info", care: "info" };
const AROUND = 60_000;

const COLUMNS: readonly Column<TimelineEntry & { place: number }>[] = [
  { key: "time", title: "Time", width: 120, render: (row) => <Time value={row.time} /> },
  { key: "kind", title: "What", width: 120, render: (row) => <Tag tone={TONES[row.kind] ?? "mute"}>{KINDS[row.kind] ?? row.kind}</Tag> },
  { key: "text", title: "Happened", render: (row) => <Happened entry={row} /> },
  { key: "effect", title: "Effect", width: 110, render: (row) => (row.effect ? <Effect effect={row.effect} /> : <span>–</span>) },
  { key: "process", title: "Process", width: 200, render: (row) => (row.pid ? <code title={row.path}>{`${row.path?.split("/").at(-1) || "?"} ${row.pid}`}</code> : (row.author ?? "–")) },
];

function Happened({ entry }: { entry: TimelineEntry }) {
  const times = entry.count && entry.count > 1 ? ` (${entry.count.toLocaleString("en")} times)` : "";
  return (
    <div>
      <Text span size="sm" fw={entry.kind === "audit" ? 600 : 400}>{entry.text + times}</Text>
      {entry.command !== undefined && entry.command !== entry.path && (
        <div>
          <code>{entry.command}</code>
        </div>
      )}
    </div>
  );
}

/** What happened around an incident, in one order. */
export function Timeline({ incident }: { incident: Incident }) {
  const [whole, setWhole] = useState(false);
  const [judged, setJudged] = useState(false);
  const [kinds, setKinds] = useState<string[]>([]);
  const from = whole ? undefined : new Date(Date.parse(incident.time) - AROUND).toISOString();
  const pages = useInfiniteQuery({
    queryKey: ["incidents", "timeline", incident._id, from, judged, kinds],
    initialPageParam: "",
    queryFn: ({ pageParam }) => {
      const query = { from, judged, kind: kinds.length > 0 ? kinds : undefined, cursor: pageParam, limit: 200 };
      return got(api.GET("/api/v1/audits/incidents/{number}/timeline", { params: { path: { number: incident._id }, query } }));
    },
    getNextPageParam: (last) => last?.cursor || undefined,
    placeholderData: keepPreviousData,
  });
  const rows = (pages.data?.pages ?? []).flatMap((page) => page?.entries ?? []).map((entry, place) => ({ ...entry, place }));
  const first = pages.data?.pages[0];
  return (
    <Stack gap="sm">
      <Group gap="sm">
        <SegmentedControl size="xs" aria-label="How far back" value={whole ? "whole" : "around"} onChange={(value) => setWhole(value === "whole")} data={[{ value: "around", label: "From a minute before" }, { value: "whole", label: "Whole record" }]} />
        <MultiSelect aria-label="Kinds" placeholder={kinds.length === 0 ? "Every kind" : undefined} data={Object.entries(KINDS).map(([value, label]) => ({ value, label }))} value={kinds} onChange={setKinds} w={220} clearable clearButtonProps={{ "aria-label": "Clear kinds" }} />
        <Switch size="sm" label="Only what a policy objected to" checked={judged} onChange={(event) => setJudged(event.currentTarget.checked)} />
      </Group>
      <Problem error={pages.error} retry={() => void pages.refetch()} />
      {pages.isPending && <Loader size="sm" aria-label="Loading" />}
      {first && !first.snapshot && (
        <Text size="sm" c="dimmed">
          There is no record of this workload around the incident: only the audits are shown. A minute after an incident the Console fetches the record by itself, if the Defender is still there.
        </Text>
      )}
      {rows.length > 0 && <DataTable label="Timeline" columns={COLUMNS} rows={rows} rowKey={(row) => row.place} wrap maxHeight="60vh" onEnd={() => pages.hasNextPage && !pages.isFetching && void pages.fetchNextPage()} />}
      {first && rows.length === 0 && <Text size="sm" c="dimmed">Nothing of this kind was recorded.</Text>}
      <Text size="xs" c="dimmed" role="status">{first ? `${rows.length.toLocaleString("en")} entries${pages.hasNextPage ? ", more as you scroll" : ""}` : ""}</Text>
    </Stack>
  );
}
