import { Button, Checkbox, Group, Loader, Menu, Stack, Text } from "@mantine/core";
import { IconDownload, IconShieldCheck } from "@tabler/icons-react";
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { DataTable, type Column } from "~/components/DataTable";
import { Empty } from "~/components/Empty";
import { FacetSelect } from "~/components/FacetSelect";
import { FilterBar, useFilters } from "~/components/FilterBar";
import { Page } from "~/components/Page";
import { Problem } from "~/components/Problem";
import { Severity } from "~/components/Severity";
import { Tiles } from "~/components/Tiles";
import { Time } from "~/components/Time";
import { useCare } from "~/forms/incidents/care";
import { IncidentDetail } from "~/forms/incidents/IncidentDetail";
import { Care, Outcome, titleOf, type Incident } from "~/forms/incidents/words";
import { api, got, raw } from "~/lib/api";
import { save } from "~/lib/files";
import { useCan } from "~/lib/session";

const AT_ONCE = 100;
const FILTERS = ["category", "severity", "appID", "type", "containerName"];
/** What each view of the list asks for. */
const VIEWS: Record<string, Record<string, boolean>> = {
  open: { acknowledged: false, archived: false },
  acknowledged: { acknowledged: true, archived: false },
  archived: { archived: true },
  all: {},
};

/** The incidents: attacks, each made of the audits that show it. */
export default function Incidents() {
  const { get, set } = useFilters();
  const number = get("incident");
  return number === "" ? <List /> : <IncidentDetail key={number} number={number} onBack={() => set({ incident: null })} />;
}

function useAsked() {
  const { get, all } = useFilters();
  const view = get("view") || "open";
  const chosen = Object.fromEntries(FILTERS.map((name) => [name, all(name)] as const).filter(([, values]) => values.length > 0));
  const stopped = get("stopped") === "" ? {} : { stopped: get("stopped") === "true" };
  return { view, filters: { ...chosen, ...stopped, search: get("search") }, filtered: Object.keys(chosen).length > 0 || get("search") !== "" || get("stopped") !== "" };
}

function List() {
  const { set } = useFilters();
  const { view, filters, filtered } = useAsked();
  const asked = { ...filters, ...VIEWS[view] };
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const facets = useQuery({
    queryKey: ["incidents", "facets", filters],
    queryFn: () => got(api.GET("/api/v1/audits/incidents/facets", { params: { query: filters as never } })),
    refetchInterval: 10_000,
    placeholderData: keepPreviousData,
  });
  const list = useInfiniteQuery({
    queryKey: ["incidents", "list", asked],
    initialPageParam: "",
    queryFn: async ({ pageParam }) => {
      const answer = await api.GET("/api/v1/audits/incidents", { params: { query: { ...asked, cursor: pageParam, limit: AT_ONCE } as never } });
      return { rows: answer.data ?? [], next: answer.response.headers.get("Next-Cursor") ?? "" };
    },
    getNextPageParam: (last) => last.next || undefined,
    refetchInterval: 10_000,
    placeholderData: keepPreviousData,
  });
  const rows = list.data?.pages.flatMap((page) => page.rows) ?? [];
  const present = new Set(rows.map((row) => row._id));
  const ids = [...picked].filter((id) => present.has(id));
  const pick = (id: string, chosen: boolean) => {
    const next = new Set(ids);
    if (chosen) next.add(id);
    else next.delete(id);
    setPicked(next);
  };
  const everything = Object.values(facets.data?.state ?? {}).reduce((sum, count) => sum + count, 0);
  return (
    <Page title="Incidents" description="Attacks, each made of the audits of one kind and one workload within a day. An incident that goes on comes back from the archive." actions={<Downloads asked={asked} disabled={rows.length === 0} />}>
      <Problem error={list.error ?? facets.error} retry={() => void list.refetch()} />
      <Views counts={facets.data?.state} />
      <FilterBar placeholder="Application, container, image, kind">
        <FacetSelect name="severity" label="Severity" counts={facets.data?.severity} width={150} />
        <FacetSelect name="category" label="Kind" counts={facets.data?.category} titles={Object.fromEntries(Object.keys(facets.data?.category ?? {}).map((name) => [name, titleOf({ category: name })]))} />
        <FacetSelect name="appID" label="Application" counts={facets.data?.appID} width={220} />
      </FilterBar>
      <Bulk ids={ids} view={view} onDone={() => setPicked(new Set())} />
      {list.isPending && <Loader size="sm" aria-label="Loading" />}
      {list.data && rows.length === 0 && (filtered || everything > 0 ? <NoneHere view={view} /> : <Nothing />)}
      {rows.length > 0 && (
        <DataTable label="Incidents" columns={columns(new Set(ids), pick)} rows={rows} rowKey={(row) => row._id} onOpen={(row) => set({ incident: row._id })} onEnd={() => list.hasNextPage && !list.isFetching && void list.fetchNextPage()} />
      )}
    </Page>
  );
}

function columns(picked: ReadonlySet<string>, pick: (id: string, chosen: boolean) => void): readonly Column<Incident>[] {
  return [
    {
      key: "what",
      title: "Incident",
      render: (row) => <Text span size="sm" fw={550}>{titleOf(row)}</Text>,
      sort: (row) => row.category,
    },
    { key: "severity", title: "Severity", width: 105, render: (row) => <Severity severity={row.severity || "unknown"} />, sort: (row) => -["low", "medium", "high", "critical"].indexOf(row.severity ?? "") },
    { key: "outcome", title: "Outcome", width: 130, render: (row) => <Outcome incident={row} /> },
    { key: "where", title: "Where", render: (row) => <><span>{row.containerName || row.appID}</span>{row.containerName && <Text span size="xs" c="dimmed" ml={8}>{row.appID}</Text>}</>, sort: (row) => row.appID },
    { key: "last", title: "Latest", width: 130, render: (row) => <Time value={row.lastTime} />, sort: (row) => row.lastTime },
    { key: "audits", title: "Audits", width: 80, align: "end", render: (row) => row.auditCount.toLocaleString("en"), sort: (row) => -row.auditCount },
    { key: "notes", title: "Notes", width: 75, align: "end", render: (row) => row.noteCount || "–", sort: (row) => -(row.noteCount ?? 0) },
    { key: "state", title: "State", width: 145, render: (row) => <Care incident={row} /> },
    {
      key: "choose",
      title: "Choose",
      width: 80,
      align: "end",
      render: (row) => <Checkbox size="sm" p={2} display="inline-block" checked={picked.has(row._id)} onChange={(event) => pick(row._id, event.currentTarget.checked)} aria-label={`Choose incident ${row._id}`} />,
    },
  ];
}

function Views({ counts }: { counts: Record<string, number> | undefined }) {
  const { get, set } = useFilters();
  const view = get("view") || "open";
  const tile = (name: string, label: string, count: number | undefined, tone?: "bad") => ({ label, count, tone, chosen: view === name, onChoose: () => set({ view: name === "open" ? null : name }) });
  const of = (name: string) => counts && (counts[name] ?? 0);
  const all = counts && Object.values(counts).reduce((sum, count) => sum + count, 0);
  return <Tiles label="Views" tiles={[tile("open", "open", of("open"), "bad"), tile("acknowledged", "acknowledged", of("acknowledged")), tile("archived", "archived", of("archived")), tile("all", "all", all)]} />;
}

function Bulk({ ids, view, onDone }: { ids: readonly string[]; view: string; onDone: () => void }) {
  const may = useCan("incidentsAcknowledge");
  const care = useCare();
  if (!may || ids.length === 0) return <Problem error={care.error} />;
  const act = (change: { acknowledged?: boolean; archived?: boolean }) => care.mutate({ ids, ...change }, { onSuccess: onDone });
  return (
    <Stack gap="xs">
      <Group gap="xs" role="group" aria-label="Chosen incidents">
        <Text size="sm">{`${ids.length} chosen`}</Text>
        {view !== "acknowledged" && <Button size="compact-sm" loading={care.isPending} onClick={() => act({ acknowledged: true })}>Acknowledge</Button>}
        {view === "acknowledged" && <Button size="compact-sm" variant="default" onClick={() => act({ acknowledged: false })}>Open again</Button>}
        {view === "archived" ? <Button size="compact-sm" variant="default" onClick={() => act({ archived: false })}>Bring back</Button> : <Button size="compact-sm" variant="default" onClick={() => act({ archived: true })}>Archive</Button>}
        <Button size="compact-sm" variant="subtle" onClick={onDone}>Choose none</Button>
      </Group>
      <Problem error={care.error} />
    </Stack>
  );
}

function Downloads({ asked, disabled }: { asked: Record<string, unknown>; disabled: boolean }) {
  const download = async (format: "csv" | "json") => {
    const query = new URLSearchParams({ format });
    for (const [name, value] of Object.entries(asked)) for (const item of Array.isArray(value) ? value : [value]) if (item !== "") query.append(name, String(item));
    save(await (await raw(`/api/v1/audits/incidents/download?${query}`)).blob(), format === "csv" ? "incidents.csv" : "incidents.jsonl");
  };
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button variant="default" leftSection={<IconDownload size={16} />} disabled={disabled}>Download</Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => void download("csv")}>CSV, one line each</Menu.Item>
        <Menu.Item onClick={() => void download("json")}>JSON lines, with audits</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function NoneHere({ view }: { view: string }) {
  return <Empty title={view === "open" ? "Nothing is open" : "None here"} icon={<IconShieldCheck size={24} />}>{view === "open" ? "Every incident that fits was seen to. The other views have them." : "No incident fits. Take a filter away, or choose another view."}</Empty>;
}

function Nothing() {
  return (
    <Empty title="No incident so far" icon={<IconShieldCheck size={24} />}>
      An incident is made when a Defender reports what stands for an attack, such as a reverse shell, a crypto miner or a changed program, or when a custom rule says so. Detections are asked for in the runtime rules; a minute after an incident the Console fetches what happened around it.
    </Empty>
  );
}
