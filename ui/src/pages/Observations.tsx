import { Anchor, Button, Loader, Text } from "@mantine/core";
import { IconBrain } from "@tabler/icons-react";
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "react-router";

import { DataTable, type Column } from "~/components/DataTable";
import { Empty } from "~/components/Empty";
import { FilterBar, useFilters } from "~/components/FilterBar";
import { Page } from "~/components/Page";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { ProfileDetail } from "~/forms/observations/ProfileDetail";
import { KINDS, nameOf, Stage } from "~/forms/observations/words";
import { api, got, type Shapes } from "~/lib/api";
import { useCan } from "~/lib/session";

type Learned = Shapes["LearnedRuleAnswer"];
type Row = Shapes["Profile"] & { learned: Learned | undefined };

const AT_ONCE = 250;

const COLUMNS: readonly Column<Row>[] = [
  {
    key: "name",
    title: "Workload",
    render: (row) => (
      <>
        <Text span size="sm" fw={550}>{nameOf(row)}</Text>
        {row.image !== "" && <Text span size="xs" c="dimmed" ml={8}>{row.appID}</Text>}
      </>
    ),
    sort: nameOf,
  },
  { key: "stage", title: "Stage", width: 175, render: (row) => <Stage stage={row.learned?.stage} />, sort: (row) => row.learned?.stage ?? "" },
  ...Object.entries(KINDS).map(([kind, title]): Column<Row> => ({ key: kind, title, width: title.length * 7 + 28, align: "end", render: (row) => (row.counts[kind] ?? 0).toLocaleString("en"), sort: (row) => -(row.counts[kind] ?? 0) })),
  { key: "change", title: "Something new", width: 140, render: (row) => <Time value={row.changeTime} relative />, sort: (row) => row.changeTime },
];

/** What workloads were seen to do, and how far the rules made of it have come. */
export default function Observations() {
  const { get, set } = useFilters();
  const readsPolicy = useCan("policyRead");
  const search = get("search");
  const learned = useQuery({ queryKey: ["learned"], queryFn: () => got(api.GET("/api/v1/policies/runtime/app-embedded/learned")), enabled: readsPolicy });
  const list = useInfiniteQuery({
    queryKey: ["profiles", "list", search],
    initialPageParam: 0,
    queryFn: async ({ pageParam }) => (await got(api.GET("/api/v1/profiles/app-embedded", { params: { query: { search, offset: pageParam, limit: AT_ONCE } } }))) ?? [],
    getNextPageParam: (last, pages) => (last.length < AT_ONCE ? undefined : pages.length * AT_ONCE),
    refetchInterval: 15_000,
    placeholderData: keepPreviousData,
  });
  const byProfile = new Map((learned.data ?? []).map((item) => [item.profileID, item]));
  const number = get("profile");
  if (number !== "") return <ProfileDetail key={number} number={number} learned={byProfile.get(number)} onBack={() => set({ profile: null })} />;
  const rows = (list.data?.pages.flat() ?? []).map((profile) => ({ ...profile, learned: byProfile.get(profile._id) }));
  return (
    <Page title="Observations" description="What the workloads of each image and container were seen to do. A profile becomes a rule that allows just that: discover watches, alert reports what is new, prevent stops it.">
      <Problem error={list.error ?? learned.error} retry={() => void list.refetch()} />
      {list.isPending && <Loader size="sm" aria-label="Loading" />}
      {list.data && (rows.length > 0 || search !== "") && <FilterBar placeholder="Application, image, container" />}
      {list.data && rows.length === 0 && (search === "" ? <Nothing /> : <Empty title="None of them">No profile has this in its name.</Empty>)}
      {rows.length > 0 && <DataTable label="Profiles" columns={COLUMNS} rows={rows} rowKey={(row) => row._id} onOpen={(row) => set({ profile: row._id })} onEnd={() => list.hasNextPage && !list.isFetching && void list.fetchNextPage()} />}
    </Page>
  );
}

function Nothing() {
  return (
    <Empty title="Nothing was observed yet" icon={<IconBrain size={24} />} actions={<Button component={Link} to="/defend/runtime">Runtime rules</Button>}>
      Defenders tell once a minute what they saw. Connections and ports are always seen; programs, names and files while a rule watches them, such as one in alert with empty lists. Is there a <Anchor component={Link} to="/manage/defenders" size="sm">connected Defender</Anchor>?
    </Empty>
  );
}
