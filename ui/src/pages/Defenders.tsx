import { Anchor, Button, Group, Loader, Stack, Text } from "@mantine/core";
import { IconDownload, IconServerOff } from "@tabler/icons-react";
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "react-router";

import { DataTable, type Column } from "~/components/DataTable";
import { Empty } from "~/components/Empty";
import { FacetSelect } from "~/components/FacetSelect";
import { FilterBar, useFilters } from "~/components/FilterBar";
import { Page } from "~/components/Page";
import { Problem } from "~/components/Problem";
import { Tiles } from "~/components/Tiles";
import { Time } from "~/components/Time";
import { DefenderDetail } from "~/forms/defenders/DefenderDetail";
import { GAPS, State, STATES, Sync, SYNCS, TYPES, type Defender } from "~/forms/defenders/words";
import { api, got, raw } from "~/lib/api";
import { save } from "~/lib/files";
import { useCan } from "~/lib/session";
import { Tag } from "~/ui/Tag";

const FILTERS = ["search", "type", "state", "sync", "version", "gap", "latest", "appID", "certificateEnds", "bundle"];
const AT_ONCE = 100;

const COLUMNS: readonly Column<Defender>[] = [
  {
    key: "app",
    title: "Application",
    render: (row) => (
      <>
        <Text span size="sm" fw={550}>{row.appID}</Text>
        <Text span size="xs" c="dimmed" ml={8}>{row.task ?? row.host}</Text>
      </>
    ),
    sort: (row) => row.appID,
  },
  { key: "state", title: "State", width: 120, render: (row) => <State state={row.state} />, sort: (row) => row.state },
  { key: "sync", title: "Policy", width: 160, render: (row) => <Sync sync={row.sync} />, sort: (row) => row.sync },
  { key: "gaps", title: "Unprotected", width: 150, render: (row) => <GapSummary row={row} />, sort: (row) => row.gaps.length },
  { key: "type", title: "Kind", width: 140, render: (row) => TYPES[row.type] ?? row.type, sort: (row) => row.type },
  { key: "version", title: "Version", width: 110, render: (row) => (row.latest ? row.version : <Tag tone="warn">{row.version}</Tag>), sort: (row) => row.version },
  { key: "last", title: "Last contact", width: 140, render: (row) => <Time value={row.lastModified} relative />, sort: (row) => -Date.parse(row.lastModified) },
];

function GapSummary({ row }: { row: Defender }) {
  if (!row.connected) return <span>–</span>;
  const [first] = row.gaps;
  if (!first) return <Tag tone="good">Nothing</Tag>;
  return <Tag tone={row.gaps.some((gap) => gap.kind !== "noRule") ? "bad" : "warn"}>{row.gaps.length === 1 ? (GAPS[first.kind] ?? first.kind) : `${row.gaps.length} gaps`}</Tag>;
}

/** The Defenders: who is there, does what it should, and leaves what unprotected. */
export default function Defenders() {
  const filters = useFilters();
  const query = Object.fromEntries(FILTERS.map((name) => [name, filters.all(name)] as const).filter(([, values]) => values.length > 0));
  const search = filters.get("search");
  const asked = { ...query, search };
  const facets = useQuery({
    queryKey: ["defenders", "facets", asked],
    queryFn: () => got(api.GET("/api/v1/defenders/facets", { params: { query: asked as never } })),
    refetchInterval: 10_000,
    placeholderData: keepPreviousData,
  });
  const list = useInfiniteQuery({
    queryKey: ["defenders", "list", asked],
    initialPageParam: 0,
    queryFn: async ({ pageParam }) => {
      const answer = await api.GET("/api/v1/defenders", { params: { query: { ...asked, offset: pageParam, limit: AT_ONCE } as never } });
      return { rows: answer.data ?? [], total: Number(answer.response.headers.get("Total-Count")) };
    },
    getNextPageParam: (last, pages) => (last.rows.length < AT_ONCE ? undefined : pages.length * AT_ONCE),
    refetchInterval: 10_000,
    placeholderData: keepPreviousData,
  });
  const rows = list.data?.pages.flatMap((page) => page.rows) ?? [];
  const total = list.data?.pages[0]?.total;
  const filtered = Object.keys(query).length > 0;
  const download = async () => save(await (await raw(`/api/v1/defenders/download?${address(filters.params)}`)).blob(), "defenders.csv", "text/csv");
  return (
    <Page
      title="Deployed Defenders"
      description="Every Defender that told this Console of itself: whether it is there, whether the policy that should be in force is, and what of its workload goes unprotected."
      actions={<Button variant="default" leftSection={<IconDownload size={16} />} onClick={() => void download()} disabled={rows.length === 0}>CSV</Button>}
    >
      <Problem error={list.error ?? facets.error} retry={() => void list.refetch()} />
      {!filtered && total === 0 ? (
        <Nobody />
      ) : (
        <>
          <Numbers counts={facets.data} />
          <FilterBar placeholder="App ID, task, container, image, host">
            <FacetSelect name="state" label="State" counts={facets.data?.state} titles={STATES} width={138} />
            <FacetSelect name="sync" label="Policy" counts={facets.data?.sync} titles={SYNCS} width={138} />
            <FacetSelect name="gap" label="Unprotected" counts={facets.data?.gap} titles={GAPS} width={138} />
            <FacetSelect name="type" label="Kind" counts={facets.data?.type} titles={TYPES} width={138} />
            <FacetSelect name="version" label="Version" counts={facets.data?.version} width={138} />
          </FilterBar>
          {list.isPending && <Loader size="sm" aria-label="Loading" />}
          {list.data && rows.length === 0 && <Empty title="None of them">No Defender has all of this. Take a filter away.</Empty>}
          {rows.length > 0 && (
            <Stack gap={6}>
              <DataTable label="Defenders" columns={COLUMNS} rows={rows} rowKey={(row) => row.id} chosen={filters.get("defender")} onOpen={(row) => filters.set({ defender: row.id })} onEnd={() => void list.fetchNextPage()} />
              <Text size="xs" c="dimmed" role="status">{`${rows.length.toLocaleString("en")} of ${(total ?? 0).toLocaleString("en")}`}</Text>
            </Stack>
          )}
          <CleanUp />
        </>
      )}
      <DefenderDetail id={filters.get("defender")} onClose={() => filters.set({ defender: null })} />
    </Page>
  );
}

/** The address's filters, without the Defender that is shown. */
function address(params: URLSearchParams): string {
  const kept = new URLSearchParams(params);
  kept.delete("defender");
  return kept.toString();
}

type Counts = Record<string, Record<string, number>> | undefined;

function Numbers({ counts }: { counts: Counts }) {
  const { all, set } = useFilters();
  const tile = (label: string, name: string, values: readonly string[], tone?: "bad" | "warn" | "good") => {
    const chosen = values.every((value) => all(name).includes(value)) && all(name).length === values.length;
    const count = counts && values.reduce((sum, value) => sum + (counts[name]?.[value] ?? 0), 0);
    return { label, count, tone, chosen, onChoose: () => set({ [name]: chosen ? null : values }) };
  };
  return (
    <Tiles
      label="Numbers"
      tiles={[
        tile("connected", "state", ["connected"]),
        tile("lost", "state", ["lost"], "bad"),
        tile("ended", "state", ["ended"]),
        tile("policy not in force", "sync", ["pending", "failed"], "warn"),
        tile("without a rule", "gap", ["noRule"], "warn"),
        tile("open ports", "gap", ["port"], "bad"),
        tile("other version", "latest", ["false"], "warn"),
      ]}
    />
  );
}

function CleanUp() {
  const may = useCan("settingsRead");
  const settings = useQuery({ queryKey: ["settings", "defender"], queryFn: () => got(api.GET("/api/v1/settings/defender")), enabled: may });
  if (!settings.data) return null;
  const minutes = settings.data.appEmbeddedDisconnectedMinutes;
  return (
    <Text size="xs" c="dimmed">
      {`A Defender that is not connected leaves this list after ${minutes === 60 ? "an hour" : `${minutes.toLocaleString("en")} minutes`}. “Ended” ones said goodbye, as when their task stops; “lost” ones did not; “awaited” ones were there when the Console itself restarted.`}
    </Text>
  );
}

function Nobody() {
  return (
    <Empty title="No Defender yet" icon={<IconServerOff size={24} />} actions={<Button component={Link} to="/manage/deploy">Protect a workload</Button>}>
      <Group gap={4} justify="center">
        <span>A Defender appears here seconds after a protected task starts. Protect a task definition, a Dockerfile or a Cloud Foundry app, and run it.</span>
        <span>
          Nothing comes? The task has to reach this Console’s channel by one of its <Anchor component={Link} to="/manage/names" size="sm">names</Anchor>.
        </span>
      </Group>
    </Empty>
  );
}
