import { ActionIcon, Button, Group, Switch, Tabs, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconArrowDown, IconArrowUp, IconPlus } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { DataTable } from "~/components/DataTable";
import { Effect } from "~/components/Effect";
import { Empty } from "~/components/Empty";
import { useFilters } from "~/components/FilterBar";
import { Page } from "~/components/Page";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { Discovery } from "~/forms/waas/Discovery";
import { History } from "~/forms/waas/History";
import { NetworkLists } from "~/forms/waas/NetworkLists";
import { Review } from "~/forms/waas/Review";
import { RuleEditor } from "~/forms/waas/RuleEditor";
import { api, got } from "~/lib/api";
import { moved } from "~/lib/document";
import { useCan } from "~/lib/session";
import { newRule, portsOf, strength, type WaasPolicy, type WaasRule } from "~/lib/waas";

const TABS = [
  { value: "rules", label: "Rules" },
  { value: "networks", label: "Network lists" },
  { value: "discovery", label: "API discovery" },
  { value: "history", label: "History" },
];

/** The firewall's rules, with what belongs to them. */
export default function Waas() {
  const mayWrite = useCan("policyWrite");
  const mayDiscover = useCan("profilesRead");
  const { get, set } = useFilters();
  const tab = get("tab") || "rules";
  return (
    <Page title="WAAS" description="What the firewall before your web applications looks for, and what follows. The first rule that covers a workload applies to it.">
      <Tabs value={tab} onChange={(value) => set({ tab: value === "rules" ? null : value, open: null, path: null })} keepMounted={false}>
        <Tabs.List mb="md">
          {TABS.filter(({ value }) => value !== "discovery" || mayDiscover).map(({ value, label }) => <Tabs.Tab key={value} value={value}>{label}</Tabs.Tab>)}
        </Tabs.List>
        <Tabs.Panel value="rules"><Rules mayWrite={mayWrite} /></Tabs.Panel>
        <Tabs.Panel value="networks"><NetworkLists mayWrite={mayWrite} /></Tabs.Panel>
        <Tabs.Panel value="discovery"><Discovery /></Tabs.Panel>
        <Tabs.Panel value="history"><History mayWrite={mayWrite} /></Tabs.Panel>
      </Tabs>
    </Page>
  );
}

async function policyWithTag(): Promise<{ policy: WaasPolicy; etag: string }> {
  const answer = await api.GET("/api/v1/policies/firewall/app/app-embedded");
  return { policy: answer.data as WaasPolicy, etag: answer.response.headers.get("etag") ?? "*" };
}

function Rules({ mayWrite }: { mayWrite: boolean }) {
  const client = useQueryClient();
  const { get, set } = useFilters();
  const [making, setMaking] = useState<WaasRule | null>(null);
  const [proposed, setProposed] = useState<{ policy: WaasPolicy; etag: string } | null>(null);
  const found = useQuery({ queryKey: ["waas", "policy"], queryFn: policyWithTag });
  const hits = useQuery({ queryKey: ["waas", "hits"], queryFn: () => got(api.GET("/api/v1/policies/firewall/app/app-embedded/hits")) });
  const rules = found.data?.policy.rules ?? [];
  const opened = rules.find((rule) => rule.name === get("open")) ?? null;
  const editing = making ?? opened;
  const usage = (name: string) => hits.data?.find((item) => item.rule === name);
  const propose = (changed: WaasRule[]) => found.data && setProposed({ policy: { ...found.data.policy, rules: changed }, etag: found.data.etag });
  const close = () => {
    setMaking(null);
    set({ open: null });
  };
  const reload = () => client.invalidateQueries({ queryKey: ["waas"] });
  const add = () => setMaking({ ...newRule(""), name: "" });
  return (
    <>
      <Problem error={found.error} retry={() => void found.refetch()} />
      {mayWrite && rules.length > 0 && <Group justify="flex-end" mb="sm"><Button leftSection={<IconPlus size={16} />} onClick={add}>New rule</Button></Group>}
      {found.data && rules.length === 0 && (
        <Empty title="No web application is protected yet" actions={mayWrite && <Button onClick={add}>Make the first rule</Button>}>
          Give a task its firewall with <code>--waas-port</code> when you protect it, then say here what it looks for. A new rule
          begins in alert: nothing is refused while you see what your traffic is like.
        </Empty>
      )}
      {rules.length > 0 && (
        <DataTable
          label="WAAS rules"
          rows={rules.map((rule, index) => ({ rule, index }))}
          rowKey={({ rule }) => rule.name}
          chosen={opened?.name ?? null}
          onOpen={({ rule }) => set({ open: rule.name })}
          rowHeight={44}
          columns={[
            { key: "name", title: "Rule", width: "24%", render: ({ rule, index }) => <><Text component="span" size="sm" c="dimmed">{index + 1}. </Text><strong className="break">{rule.name}</strong>{rule.disabled && <Text component="span" size="xs" c="dimmed"> off</Text>}</> },
            { key: "scope", title: "For", width: "16%", render: ({ rule }) => (rule.collections ?? []).map((item) => item.name).join(", ") },
            { key: "ports", title: "Ports", width: "14%", render: ({ rule }) => <span className="mono">{portsOf(rule).join(", ")}</span> },
            { key: "effects", title: "Protections", render: ({ rule }) => <Group gap={8}>{strength(rule).map(({ effect, groups }) => <span key={effect}><Effect effect={effect} /> <Text component="span" size="xs" c="dimmed">{groups}</Text></span>)}</Group> },
            { key: "hits", title: "Events", width: 84, align: "end", render: ({ rule }) => usage(rule.name)?.hits ?? "–" },
            { key: "last", title: "Last", width: 120, render: ({ rule }) => <Time value={usage(rule.name)?.lastHit} relative /> },
            { key: "order", title: "", width: 138, align: "end", render: ({ rule, index }) => mayWrite && <Order rules={rules} rule={rule} index={index} propose={propose} /> },
          ]}
        />
      )}
      <RuleEditor
        key={making ? "new rule" : (opened?.name ?? "")}
        opened={editing !== null}
        rule={editing}
        readOnly={!mayWrite}
        taken={rules.filter((rule) => rule !== opened).map((rule) => rule.name)}
        onClose={close}
        onRemove={opened ? () => propose(rules.filter((rule) => rule !== opened)) : undefined}
        onReview={(changed) => {
          if (making) setMaking(changed);
          propose(opened && !making ? rules.map((rule) => (rule === opened ? changed : rule)) : [changed, ...rules]);
        }}
      />
      <Review
        policy={proposed?.policy ?? null}
        etag={proposed?.etag ?? ""}
        onClose={() => setProposed(null)}
        onReload={() => {
          setProposed(null);
          close();
          void reload();
        }}
        onSaved={() => {
          setProposed(null);
          close();
          notifications.show({ message: "The WAAS policy is in force." });
          void reload();
        }}
      />
    </>
  );
}

function Order({ rules, rule, index, propose }: { rules: WaasRule[]; rule: WaasRule; index: number; propose: (rules: WaasRule[]) => void }) {
  return (
    <Group gap={4} justify="flex-end" wrap="nowrap">
      <ActionIcon variant="subtle" color="gray" disabled={index === 0} aria-label={`Move ${rule.name} up`} onClick={() => propose(moved(rules, index, index - 1))}><IconArrowUp size={15} /></ActionIcon>
      <ActionIcon variant="subtle" color="gray" disabled={index === rules.length - 1} aria-label={`Move ${rule.name} down`} onClick={() => propose(moved(rules, index, index + 1))}><IconArrowDown size={15} /></ActionIcon>
      <Switch size="xs" aria-label={`${rule.name} is on`} checked={!rule.disabled} onChange={() => propose(rules.map((other) => (other === rule ? { ...rule, disabled: !rule.disabled } : other)))} />
    </Group>
  );
}
