import { Alert, Anchor, Button, Drawer, Group, List, Select, Stack, TagsInput, Tabs, Text, Textarea, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";

import { CodeEditor, type Mark } from "~/components/CodeEditor";
import { Effect } from "~/components/Effect";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { api, got, raw, type Shapes } from "~/lib/api";

import style from "./editor.module.css";

type CustomRule = Shapes["CustomRuleShape"];

const TYPES = [
  { value: "processes", label: "Program starts", example: 'proc.name in ("sh", "bash") and proc.ancestors contains "nginx"', fields: "proc.name, proc.path, proc.pname, proc.ppath, proc.user, proc.cmdline, proc.args, proc.sha256, proc.ancestors" },
  { value: "filesystem", label: "Writes to files", example: 'file.path startswith "/etc/" and not proc.name = "dpkg"', fields: "file.path, file.dir, file.operation, and those of proc but sha256" },
  { value: "network-outgoing", label: "Outgoing connections", example: 'net.outgoing_port = 22 and not net.private_subnet', fields: "net.outgoing_port, net.outgoing_ip, net.private_subnet, net.domain, and those of proc but sha256" },
] as const;

export const TYPE_NAMES: ReadonlyMap<string, string> = new Map(TYPES.map((item) => [item.value, item.label]));

/** A custom rule that is new; its number is given when it is saved. */
export function newRule(): CustomRule {
  return { _id: null, name: "", type: "processes", script: "", message: "", description: "", minVersion: "", attackTechniques: [], owner: "", vulnIDs: [] };
}

/** One custom rule: its condition checked while it is typed, who uses it, and what it was. */
export function CustomRuleEditor({ rule, rules, readOnly, onClose }: { rule: CustomRule; rules: readonly CustomRule[]; readOnly: boolean; onClose: () => void }) {
  const known = rule._id !== null && rule._id !== undefined;
  return (
    <Drawer opened onClose={onClose} size="min(820px, 100%)" title={<Text component="span" fw={620} className="break">{known ? rule.name : "New custom rule"}</Text>} closeButtonProps={{ "aria-label": "Close" }}>
      <Tabs defaultValue="rule" keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="rule">Rule</Tabs.Tab>
          {known && <Tabs.Tab value="usages">Used by</Tabs.Tab>}
          {known && <Tabs.Tab value="history">History</Tabs.Tab>}
        </Tabs.List>
        <Tabs.Panel value="rule" pt="md"><Form initial={rule} rules={rules} readOnly={readOnly} onClose={onClose} /></Tabs.Panel>
        {known && <Tabs.Panel value="usages" pt="md"><Usages number={rule._id as number} /></Tabs.Panel>}
        {known && <Tabs.Panel value="history" pt="md"><States number={rule._id as number} /></Tabs.Panel>}
      </Tabs>
    </Drawer>
  );
}

function Form({ initial, rules, readOnly, onClose }: { initial: CustomRule; rules: readonly CustomRule[]; readOnly: boolean; onClose: () => void }) {
  const client = useQueryClient();
  const [rule, setRule] = useState(initial);
  const number = rule._id ?? 1 + Math.max(0, ...rules.map((item) => item._id ?? 0));
  const [checked] = useDebouncedValue(rule, 300);
  const touched = rule.script !== initial.script || rule.name !== initial.name || rule.type !== initial.type || rule.message !== initial.message;
  const check = useQuery({
    queryKey: ["custom-rule-check", checked],
    queryFn: async ({ signal }) => (await (await raw("/api/v1/custom-rules/check", { method: "POST", body: JSON.stringify({ ...checked, _id: undefined, owner: undefined }), signal })).json()) as Shapes["CustomRuleCheck"][],
    placeholderData: (before) => before,
    staleTime: Infinity,
  });
  const save = useMutation({
    mutationFn: () => raw(`/api/v1/custom-rules/${number}`, { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...rule, _id: number, owner: undefined }) }),
    onSuccess: async () => {
      notifications.show({ message: "The custom rule is kept. Workloads whose policy uses it have it." });
      await client.invalidateQueries({ queryKey: ["custom-rules"] });
      onClose();
    },
  });
  const problems = check.data ?? [];
  const type = TYPES.find((item) => item.value === rule.type) ?? TYPES[0];
  const marks = problems.flatMap((problem) => (problem.column === null || problem.column === undefined ? [] : [mark(rule.script, problem.column, problem.message)]));
  const set = (change: Partial<CustomRule>) => setRule({ ...rule, ...change });
  return (
    <Stack gap="md">
      <Group align="flex-start" wrap="wrap">
        <TextInput label="Name" required maxLength={256} style={{ flex: "1 1 16rem" }} readOnly={readOnly} value={rule.name} onChange={(event) => set({ name: event.currentTarget.value })} data-autofocus />
        <Select label="What it is about" w={220} allowDeselect={false} readOnly={readOnly} data={TYPES.map(({ value, label }) => ({ value, label }))} value={rule.type} onChange={(value) => value && set({ type: value as CustomRule["type"] })} />
      </Group>
      <div>
        <Text size="sm" fw={560} mb={4}>Condition</Text>
        <CodeEditor label="Condition" value={rule.script} onChange={(script) => set({ script })} readOnly={readOnly} placeholder={type.example} minHeight={90} maxHeight={260} marks={rule.script === "" ? [] : marks} />
        <Text size="xs" c="dimmed" mt={4}>Fields: <code>{type.fields}</code>. Joined by <code>and</code>, <code>or</code>, <code>not</code>; compared by <code>= != in contains startswith endswith matches</code>.</Text>
      </div>
      {touched && problems.length > 0 && (
        <Alert variant="default" title="Not yet right" role="status">
          <List size="sm" className="break">{problems.map((problem, index) => <List.Item key={index}>{problem.message}</List.Item>)}</List>
        </Alert>
      )}
      <TextInput label="Message" description="What an audit says: a field behind % is replaced by its value, such as %proc.pname." placeholder="%proc.pname started a shell: %proc.cmdline" maxLength={1000} readOnly={readOnly} value={rule.message} onChange={(event) => set({ message: event.currentTarget.value })} />
      <Textarea label="Description" autosize minRows={2} maxRows={6} readOnly={readOnly} value={rule.description} onChange={(event) => set({ description: event.currentTarget.value })} />
      <TagsInput label="Attack techniques" description="MITRE's numbers, such as T1059.004; shown with audits." readOnly={readOnly} value={rule.attackTechniques} onChange={(attackTechniques) => set({ attackTechniques })} />
      <Problem title="It was not kept" error={save.error} />
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>{readOnly ? "Close" : "Cancel"}</Button>
        {!readOnly && <Button loading={save.isPending} disabled={rule.name.trim() === "" || rule.script.trim() === "" || problems.length > 0} onClick={() => save.mutate()}>Save</Button>}
      </Group>
    </Stack>
  );
}

/** The place of a column that counts from the start of the script, whatever lines it has. */
function mark(script: string, column: number, message: string): Mark {
  const before = [...script].slice(0, column - 1).join("").split("\n");
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1, message };
}

function Usages({ number }: { number: number }) {
  const usages = useQuery({ queryKey: ["custom-rules", number, "usages"], queryFn: () => got(api.GET("/api/v1/custom-rules/{number}/usages", { params: { path: { number } } })) });
  if (usages.error) return <Problem error={usages.error} retry={() => void usages.refetch()} />;
  if (usages.data?.length === 0) return <Text size="sm" c="dimmed">No rule uses it yet: attach it to one in <Anchor component={Link} to="/defend/runtime" inherit>Runtime rules</Anchor>.</Text>;
  return (
    <ul className={style.list} aria-label="Rules that use it">
      {usages.data?.map((item) => (
        <li key={item.rule} className={style.item}>
          <Anchor component={Link} to={`/defend/runtime?rule=${encodeURIComponent(item.rule)}`} size="sm" className="break">{item.rule}</Anchor>
          <Group gap="xs"><Effect effect={item.effect} />{item.action === "incident" && <Text size="xs">opens an incident</Text>}{item.disabled && <Text size="xs" c="dimmed">the rule is disabled</Text>}</Group>
        </li>
      ))}
    </ul>
  );
}

function States({ number }: { number: number }) {
  const states = useQuery({ queryKey: ["custom-rules", number, "revisions"], queryFn: () => got(api.GET("/api/v1/custom-rules/{number}/revisions", { params: { path: { number } } })) });
  if (states.error) return <Problem error={states.error} retry={() => void states.refetch()} />;
  if (states.data?.length === 0) return <Text size="sm" c="dimmed">It has not been changed since its history is kept.</Text>;
  return (
    <ul className={style.list} aria-label="What it was">
      {states.data?.map((item) => (
        <li key={item.revision} className={style.state}>
          <Text size="xs" c="dimmed" component="div">{item.author} · <Time value={item.time} /></Text>
          {item.rule ? <pre className={style.script} tabIndex={0}>{item.rule.script}</pre> : <Text size="sm">removed</Text>}
        </li>
      ))}
    </ul>
  );
}
