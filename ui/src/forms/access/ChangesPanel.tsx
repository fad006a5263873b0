import { Anchor, Button, Drawer, Group, Select, Stack, Table, Text } from "@mantine/core";
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { DataTable } from "~/components/DataTable";
import { Empty } from "~/components/Empty";
import { FilterBar, useFilters } from "~/components/FilterBar";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { api, got, type Shapes } from "~/lib/api";
import { Tag } from "~/ui/Tag";

type Change = Shapes["ChangeAnswer"];

const KINDS = ["login", "user", "group", "role", "token", "rule", "settings", "collections", "credential", "defenders", "audit", "profile"];
const REFUSED = 400;

/** The log of changes, with what each changed. */
export function ChangesPanel() {
  const { get, set } = useFilters();
  const [open, setOpen] = useState<Change | null>(null);
  const result = get("result");
  const query = {
    search: get("search"),
    type: get("type") ? [get("type")] : undefined,
    result: result === "done" || result === "refused" ? (result as "done" | "refused") : undefined,
  };
  const changes = useInfiniteQuery({
    queryKey: ["changes", query],
    queryFn: ({ pageParam }) => got(api.GET("/api/v1/audits/mgmt", { params: { query: { ...query, cursor: pageParam, limit: 100 } } })),
    initialPageParam: "",
    getNextPageParam: (page) => page.next || undefined,
  });
  const verdict = useMutation({ mutationFn: () => got(api.GET("/api/v1/audits/mgmt/verify")) });
  const all = changes.data?.pages.flatMap((page) => page.entries) ?? [];
  const params = new URLSearchParams(Object.entries({ search: query.search, type: get("type"), result: get("result") }).filter(([, value]) => value));
  return (
    <Stack gap="sm">
      <Group justify="space-between" align="flex-end">
        <FilterBar placeholder="Path">
          <Select aria-label="About" placeholder="About anything" data={KINDS} value={get("type") || null} onChange={(value) => set({ type: value })} clearable w={160} />
          <Select aria-label="Result" placeholder="Any result" data={[{ value: "done", label: "done" }, { value: "refused", label: "refused" }]} value={get("result") || null} onChange={(value) => set({ result: value })} clearable w={130} />
        </FilterBar>
        <Group gap="xs">
          <Button variant="default" component="a" href={`/api/v1/audits/mgmt/download?${params.toString()}`} download>CSV</Button>
          <Button variant="default" loading={verdict.isPending} onClick={() => verdict.mutate()}>Verify</Button>
        </Group>
      </Group>
      <Problem error={changes.error ?? verdict.error} retry={() => void changes.refetch()} />
      {verdict.data && (
        <div role="status">
          <Tag tone={verdict.data.intact ? "good" : "critical"}>{verdict.data.intact ? "Intact" : "Meddled with"}</Tag>{" "}
          <Text component="span" size="sm">{verdict.data.intact ? `All ${verdict.data.count} entries are as they were written.` : verdict.data.problem}</Text>
        </div>
      )}
      {all.length > 0 && (
        <DataTable
          label="Changes"
          rows={all}
          rowKey={(change) => change._id}
          onOpen={setOpen}
          chosen={open?._id ?? null}
          onEnd={() => changes.hasNextPage && !changes.isFetching && void changes.fetchNextPage()}
          columns={[
            { key: "time", title: "Time", width: 150, render: (change) => <Time value={change.time} /> },
            { key: "user", title: "Who", width: 130, render: (change) => <Text component="span" size="sm" fw={550} truncate>{change.username || "–"}</Text> },
            { key: "about", title: "About", width: 110, render: (change) => change.type },
            { key: "what", title: "What", render: (change) => <span className="mono break">{change.api || "the log begins"}</span> },
            { key: "result", title: "Result", width: 140, render: (change) => <Result change={change} /> },
          ]}
        />
      )}
      {changes.hasNextPage && <Group justify="center"><Button variant="subtle" loading={changes.isFetchingNextPage} onClick={() => void changes.fetchNextPage()}>Older</Button></Group>}
      {changes.data && all.length === 0 && <Empty title="No change fits">Every request that writes is here, with every refusal and log-in. Drop a filter to see more.</Empty>}
      <Drawer opened={open !== null} onClose={() => setOpen(null)} size="lg" closeButtonProps={{ "aria-label": "Close" }} attributes={{ header: { role: "presentation" } }} title={open?.api || "The log begins"}>
        {open && <Details change={open} />}
      </Drawer>
    </Stack>
  );
}

function Result({ change }: { change: Change }) {
  if (change.status >= REFUSED) return <Tag tone="bad">{`refused, ${change.status}`}</Tag>;
  return <Tag tone="good">{change.diff.length > 0 ? `done, ${change.diff.length} changed` : "done"}</Tag>;
}

function Details({ change }: { change: Change }) {
  const facts: [string, string][] = [
    ["Who", [change.username, change.role].filter(Boolean).join(", ")],
    ["By", change.via],
    ["From", change.sourceIP],
    ["Asked for", Object.entries(change.query).map(([name, value]) => `${name}=${value}`).join(", ")],
    ["Refused because", change.failureMessage],
    ["Chained by", change.hash],
  ];
  return (
    <Stack gap="md">
      <Table withRowBorders={false} verticalSpacing={4}>
        <Table.Tbody>
          <Table.Tr><Table.Th w={140}>When</Table.Th><Table.Td><Time value={change.time} /></Table.Td></Table.Tr>
          {facts.filter(([, value]) => value).map(([name, value]) => (
            <Table.Tr key={name}><Table.Th w={140}>{name}</Table.Th><Table.Td className="break">{value}</Table.Td></Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {change.diff.map((place) => (
        <div key={place.path} className="card">
          <Stack gap={4} p="sm">
            <Text size="sm" fw={550} className="mono break">{place.path || "the whole"}</Text>
            <Side sign="−" label="before" value={place.before} />
            <Side sign="+" label="after" value={place.after} />
          </Stack>
        </div>
      ))}
      {change.body !== null && change.body !== undefined && <div className="card"><Text size="sm" p="sm" component="pre" m={0} className="mono break">{JSON.stringify(change.body, null, 2)}</Text></div>}
      {change.diff.length === 0 && change.status < REFUSED && !change.body && <Text size="sm" c="dimmed">What can be looked at is as it was. <Anchor href="/manage/api">What a route does</Anchor></Text>}
    </Stack>
  );
}

function Side({ sign, label, value }: { sign: string; label: string; value: unknown }) {
  if (value === null || value === undefined) return <Text size="sm" c="dimmed">{sign} nothing {label}</Text>;
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return <Text size="sm" component="pre" m={0} className="mono break" aria-label={label}>{sign} {text}</Text>;
}
