import { Button, Loader, Stack, Tabs, Text, TextInput } from "@mantine/core";
import { IconArrowLeft, IconDownload, IconSearch } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";

import { CodeEditor } from "~/components/CodeEditor";
import { DataTable, type Column } from "~/components/DataTable";
import { Facts } from "~/components/Facts";
import { Page } from "~/components/Page";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { api, got, raw, type Shapes } from "~/lib/api";
import { save } from "~/lib/files";
import { Tag } from "~/ui/Tag";

import { ProfileActions } from "./Adoption";
import { KINDS, nameOf, Stage } from "./words";

type Observed = Shapes["Observed"];
type Evidence = Shapes["EvidenceLine"];
type LeftOut = Shapes["NotSuggested"];

/** Everything that the workloads of one profile were seen to do, and the rule that follows. */
export function ProfileDetail({ number, learned, onBack }: { number: string; learned: Shapes["LearnedRuleAnswer"] | undefined; onBack: () => void }) {
  const path = { params: { path: { number } } };
  const profile = useQuery({ queryKey: ["profiles", "one", number], queryFn: () => got(api.GET("/api/v1/profiles/app-embedded/{number}", path)), refetchInterval: 15_000 });
  const back = <Button variant="subtle" size="compact-sm" leftSection={<IconArrowLeft size={15} />} onClick={onBack}>All profiles</Button>;
  if (!profile.data) {
    return (
      <Page title="Profile" actions={back}>
        <Problem error={profile.error} retry={() => void profile.refetch()} />
        {profile.isPending && <Loader size="sm" aria-label="Loading" />}
      </Page>
    );
  }
  const found = profile.data;
  const download = async () => save(await (await raw(`/api/v1/profiles/app-embedded/${number}/download`)).blob(), `profile-${number}.csv`, "text/csv");
  return (
    <Page
      title={nameOf(found)}
      description={<Stage stage={learned?.stage} />}
      actions={<>{back}<Button variant="default" leftSection={<IconDownload size={16} />} onClick={() => void download()}>CSV</Button></>}
    >
      <ProfileActions number={number} learned={learned} onForgotten={onBack} />
      <div className="card">
        <Facts
          items={[
            ["Reported last by", found.appID],
            ["Container", found.container],
            ["Learning since", <Time key="start" value={found.startTime} />],
            ["Seen last", <Time key="last" value={found.lastTime} relative />],
            ["Something new last", <Time key="change" value={found.changeTime} relative />],
            ["Found no place", found.overflow > 0 ? `${found.overflow.toLocaleString("en")} sightings: the suggested rule judges nothing, for its lists would not be whole` : null],
            ["Rule", learned ? `“${learned.rule}”${learned.quietDays ? `, goes on after ${learned.quietDays} quiet days` : ", promoted by hand"}` : null],
          ]}
        />
      </div>
      <Tabs defaultValue={Object.keys(KINDS).find((kind) => found.counts[kind]) ?? "process"} keepMounted={false}>
        <Tabs.List mb="sm">
          {Object.entries(KINDS).map(([kind, title]) => <Tabs.Tab key={kind} value={kind}>{`${title} (${found.counts[kind] ?? 0})`}</Tabs.Tab>)}
          <Tabs.Tab value="rule">Suggested rule</Tabs.Tab>
        </Tabs.List>
        {Object.keys(KINDS).map((kind) => (
          <Tabs.Panel key={kind} value={kind}><Seen kind={kind} observed={found.observations.filter((item) => item.kind === kind)} /></Tabs.Panel>
        ))}
        <Tabs.Panel value="rule"><Suggestion number={number} /></Tabs.Panel>
      </Tabs>
    </Page>
  );
}

const DETAILS: Record<string, string> = { process: "Started by", address: "Port", file: "Written by" };

function columnsOf(kind: string): readonly Column<Observed>[] {
  const detail: Column<Observed>[] = DETAILS[kind] ? [{ key: "detail", title: DETAILS[kind], render: (row) => <code>{row.detail}</code>, sort: (row) => row.detail ?? "" }] : [];
  return [
    { key: "value", title: KINDS[kind] ?? "Thing", render: (row) => <code>{row.value}</code>, sort: (row) => row.value },
    ...detail,
    { key: "count", title: "Seen", width: 90, align: "end", render: (row) => row.count.toLocaleString("en"), sort: (row) => -row.count },
    { key: "first", title: "First", width: 150, render: (row) => <Time value={row.first} />, sort: (row) => row.first },
    { key: "last", title: "Last", width: 150, render: (row) => <Time value={row.last} />, sort: (row) => -row.last },
  ];
}

function Seen({ kind, observed }: { kind: string; observed: readonly Observed[] }) {
  const [text, setText] = useState("");
  const rows = observed.filter((item) => `${item.value} ${item.detail ?? ""}`.toLowerCase().includes(text.toLowerCase()));
  if (observed.length === 0) return <Text size="sm" c="dimmed">{NOTHING[kind]}</Text>;
  return (
    <Stack gap="xs">
      <TextInput type="search" aria-label="Find in this list" placeholder="Find in this list" leftSection={<IconSearch size={15} />} w={260} maw="100%" value={text} onChange={(event) => setText(event.currentTarget.value)} />
      <DataTable label={KINDS[kind] ?? kind} columns={columnsOf(kind)} rows={rows} rowKey={(row) => `${row.value}\0${row.detail ?? ""}`} maxHeight="60vh" />
    </Stack>
  );
}

const NOTHING: Record<string, string> = {
  process: "No program was seen. Programs are watched while “processes” of the rule that applies is not disabled.",
  name: "No name was looked up. Look-ups are watched while “dns” of the rule that applies is not disabled.",
  address: "No connection was made.",
  listen: "No port was opened.",
  file: "No write was seen. Writes are watched with FILESYSTEM_MONITORING while “filesystem” of the rule that applies is not disabled.",
};

const EVIDENCE: readonly Column<Evidence>[] = [
  { key: "field", title: "List", width: 270, render: (row) => <code>{row.field}</code>, sort: (row) => row.field },
  {
    key: "entry",
    title: "Entry",
    render: (row) => (
      <div>
        <code>{row.entry}</code>
        {row.warning !== "" && <div><Tag tone="warn">{row.warning}</Tag></div>}
        {row.covers > 1 && <Text size="xs" c="dimmed">{`covers ${row.covers}: ${row.examples.join(", ")}`}</Text>}
      </div>
    ),
    sort: (row) => row.entry,
  },
  { key: "count", title: "Seen", width: 90, align: "end", render: (row) => row.count.toLocaleString("en"), sort: (row) => -row.count },
  { key: "last", title: "Last", width: 150, render: (row) => <Time value={row.last} />, sort: (row) => row.last },
];

const LEFT_OUT: readonly Column<LeftOut>[] = [
  { key: "value", title: "Seen, but not allowed", render: (row) => <code>{row.value}</code>, sort: (row) => row.value },
  { key: "kind", title: "Kind", width: 120, render: (row) => KINDS[row.kind] ?? row.kind },
  { key: "reason", title: "Why", render: (row) => row.reason },
];

function Suggestion({ number }: { number: string }) {
  const [document, setDocument] = useState(false);
  const suggestion = useQuery({ queryKey: ["profiles", "suggestion", number], queryFn: () => got(api.GET("/api/v1/profiles/app-embedded/{number}/suggestion", { params: { path: { number } } })) });
  if (suggestion.isPending) return <Loader size="sm" aria-label="Loading" />;
  const found = suggestion.data;
  return (
    <Stack gap="sm">
      <Problem error={suggestion.error} retry={() => void suggestion.refetch()} />
      {found && (
        <>
          <Text size="sm" c="dimmed" maw={760}>It allows just what was seen, and reports the rest. It widens carefully, for what an attacker did while learning is among the observations: read what each line rests on.</Text>
          {found.evidence.length > 0 ? <DataTable label="Evidence" columns={EVIDENCE} rows={found.evidence} rowKey={(row) => `${row.field} ${row.entry}`} wrap maxHeight="50vh" /> : <Text size="sm">Nothing was seen yet that could be allowed.</Text>}
          {found.leftOut.length > 0 && <DataTable label="Left out" columns={LEFT_OUT} rows={found.leftOut} rowKey={(row) => `${row.kind} ${row.value}`} wrap maxHeight="40vh" />}
          <div><Button variant="default" size="xs" aria-expanded={document} onClick={() => setDocument(!document)}>{document ? "Hide the rule as JSON" : "Show the rule as JSON"}</Button></div>
          {document && <Rule>{JSON.stringify(found.rule, null, 2)}</Rule>}
        </>
      )}
    </Stack>
  );
}

function Rule({ children }: { children: ReactNode }) {
  return <CodeEditor label="The suggested rule" language="json" readOnly value={String(children)} />;
}
