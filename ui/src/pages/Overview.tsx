import { Anchor, Group, SegmentedControl, SimpleGrid, Skeleton, Stack, Text, Title } from "@mantine/core";
import { IconCircleCheck } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState, type ReactNode } from "react";
import { Link } from "react-router";

import { EffectChart } from "~/components/EffectChart";
import { Page } from "~/components/Page";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { FirstRun } from "~/forms/FirstRun";
import { api, got, type Shapes } from "~/lib/api";
import { attention } from "~/lib/attention";
import { Tag } from "~/ui/Tag";

type Facts = Shapes["OverviewAnswer"];
const KINDS: Record<string, string> = { fargate: "Fargate", appEmbedded: "App-Embedded" };
const EVERY = 10_000;

/** What is protected, what is not, what happened, what needs attention. */
export default function Overview() {
  const overview = useQuery({ queryKey: ["overview"], queryFn: () => got(api.GET("/api/v1/overview")), refetchInterval: EVERY });
  const facts = overview.data;
  return (
    <Page title="Overview" description="What is protected, what happened, and what needs your attention.">
      <Problem error={overview.error} retry={() => void overview.refetch()} />
      {overview.isPending && <Skeleton height={320} radius="md" aria-label="Loading" />}
      {facts && (
        <>
          {facts.defenders.total === 0 && <FirstRun console={facts.console} />}
          <Numbers facts={facts} />
          <SimpleGrid cols={{ base: 1, lg: 3 }} spacing="md">
            <div className="two-of-three"><Happened facts={facts} /></div>
            <Attention facts={facts} />
          </SimpleGrid>
          <SimpleGrid cols={{ base: 1, md: 3 }} spacing="md">
            <Top title="Rules that spoke most" values={facts.events.topRules} to={(value) => `/monitor/events?ruleName=${encodeURIComponent(value)}`} />
            <Top title="Applications with most events" values={facts.events.topApps} to={(value) => `/monitor/events?appID=${encodeURIComponent(value)}`} />
            <Health facts={facts} />
          </SimpleGrid>
        </>
      )}
    </Page>
  );
}

function Numbers({ facts }: { facts: Facts }) {
  const { defenders, events, incidents, learning } = facts;
  const open = Object.values(incidents).reduce((sum, count) => sum + count, 0);
  const types = Object.entries(defenders.byType).map(([kind, count]) => `${count} ${KINDS[kind] ?? kind}`);
  const stopped = (events.day["prevent"] ?? 0) + (events.day["ban"] ?? 0);
  return (
    <SimpleGrid cols={{ base: 2, md: 4 }} spacing="md">
      <Figure to="/manage/defenders" title="Defenders connected" value={defenders.connected} note={types.length > 0 ? `of ${defenders.total}: ${types.join(", ")}` : "none yet"} />
      <Figure to="/manage/defenders?sync=inSync" title="In step with policy" value={defenders.bySync["inSync"] ?? 0} note={defenders.connected === 0 ? "nobody is connected" : `of ${defenders.connected} connected`} />
      <Figure to="/monitor/events?effect=prevent" title="Stopped in 24 hours" value={stopped} note={`${events.day["alert"] ?? 0} more in alert`} />
      <Figure to="/monitor/incidents" title="Open incidents" value={open} note={open > 0 ? Object.entries(incidents).map(([severity, count]) => `${count} ${severity}`).join(", ") : `${learning.profiles} applications observed`} alarming={open > 0} />
    </SimpleGrid>
  );
}

function Figure({ title, value, note, to, alarming = false }: { title: string; value: number; note: string; to: string; alarming?: boolean }) {
  return (
    <Link to={to} className="card tile">
      <Text size="sm" c="dimmed" fw={500}>{title}</Text>
      <Text fz={28} fw={640} lh={1.25} c={alarming ? "var(--bz-bad)" : undefined}>{value.toLocaleString("en")}</Text>
      <Text size="xs" c="dimmed">{note}</Text>
    </Link>
  );
}

function Happened({ facts }: { facts: Facts }) {
  const [span, setSpan] = useState("day");
  const { hours, day, week, searchedTo } = facts.events;
  const bars = useMemo(() => (span === "day" ? hours.slice(-24) : merged(hours, 6)), [hours, span]);
  const total = Object.values(span === "day" ? day : week).reduce((sum, count) => sum + count, 0);
  return (
    <section className="card" style={{ height: "100%" }} aria-labelledby="happened">
      <Group justify="space-between" mb="sm">
        <Title order={2} size="h3" id="happened">Events <Text span c="dimmed" size="sm" fw={400}>{total.toLocaleString("en")} in {span === "day" ? "24 hours" : "7 days"}</Text></Title>
        <SegmentedControl size="xs" aria-label="Span of time" value={span} onChange={setSpan} data={[{ value: "day", label: "24 hours" }, { value: "week", label: "7 days" }]} />
      </Group>
      <EffectChart label={`Events by effect in the last ${span === "day" ? "24 hours" : "7 days"}`} bars={bars} />
      {searchedTo !== "" && <Text size="xs" c="dimmed" mt={6}>There are so many events that only those since <Time value={searchedTo} /> are counted.</Text>}
    </section>
  );
}

function merged(hours: Facts["events"]["hours"], size: number): Facts["events"]["hours"] {
  return Array.from({ length: Math.ceil(hours.length / size) }, (_, index) => {
    const effects: Record<string, number> = {};
    for (const hour of hours.slice(index * size, (index + 1) * size)) {
      for (const [effect, count] of Object.entries(hour.effects)) effects[effect] = (effects[effect] ?? 0) + count;
    }
    return { time: hours[index * size]?.time ?? "", effects };
  });
}

function Attention({ facts }: { facts: Facts }) {
  const found = attention(facts);
  return (
    <section className="card" aria-labelledby="attention">
      <Title order={2} size="h3" mb="sm" id="attention">Needs attention</Title>
      {found.length === 0 ? (
        <Stack align="center" gap={6} py={28} c="dimmed">
          <IconCircleCheck size={30} color="var(--bz-good)" aria-hidden />
          <Text size="sm">Nothing right now.</Text>
        </Stack>
      ) : (
        <ul className="plain-list">
          {found.map((item) => (
            <li key={item.to + item.text}>
              <Tag tone={item.tone}>{{ bad: "act", warn: "look", info: "note" }[item.tone]}</Tag>
              <Anchor component={Link} to={item.to} size="sm">{item.text}</Anchor>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Top({ title, values, to }: { title: string; values: readonly { value: string; count: number }[]; to: (value: string) => string }) {
  const most = Math.max(1, ...values.map(({ count }) => count));
  return (
    <section className="card">
      <Title order={2} size="h3" mb="sm">{title} <Text span c="dimmed" size="sm" fw={400}>24 hours</Text></Title>
      {values.length === 0 && <Text size="sm" c="dimmed">No events in the last 24 hours.</Text>}
      <Stack gap={9}>
        {values.map(({ value, count }) => (
          <div key={value}>
            <Group justify="space-between" wrap="nowrap" gap="sm">
              <Anchor component={Link} to={to(value)} size="sm" truncate title={value}>{value}</Anchor>
              <Text size="sm">{count.toLocaleString("en")}</Text>
            </Group>
            <div className="meter" aria-hidden><div style={{ width: `${(100 * count) / most}%` }} /></div>
          </div>
        ))}
      </Stack>
    </section>
  );
}

function Health({ facts }: { facts: Facts }) {
  const { console: state, defenders, learning } = facts;
  const lines: [string, ReactNode][] = [
    ["Version", state.version],
    ["Defender for", state.defenderArchitectures.join(", ") || "no machine: this Console has no Defender's file"],
    ["Certificate authority", <>ends <Time value={state.caExpiration} relative /></>],
    ["Other Defender version", defenders.outdated === 0 ? "none" : `${defenders.outdated} ${defenders.outdated === 1 ? "Defender" : "Defenders"}`],
    ["Learned rules", Object.entries(learning.byStage).filter(([, count]) => count > 0).map(([stage, count]) => `${count} in ${stage}`).join(", ") || "none"],
    ["Names", `${state.names.length} in the certificate`],
  ];
  return (
    <section className="card">
      <Title order={2} size="h3" mb="sm">This Console</Title>
      <dl className="facts">
        {lines.map(([name, value]) => (
          <div key={name}><dt>{name}</dt><dd>{value}</dd></div>
        ))}
      </dl>
    </section>
  );
}
