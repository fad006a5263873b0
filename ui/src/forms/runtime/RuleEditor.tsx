import { Accordion, Alert, Button, Drawer, Group, MultiSelect, NumberInput, Stack, Switch, Tabs, Text, Textarea, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";

import { CodeEditor } from "~/components/CodeEditor";
import { Effect } from "~/components/Effect";
import { Problem } from "~/components/Problem";
import { TrialOutcome } from "~/components/TrialOutcome";
import { api, got } from "~/lib/api";
import { asYaml, checkRules, placed, readRules, tryRules, type Placed, type Rule } from "~/lib/runtime-policy";
import { asked, SCOPE_FIELDS, scopeOf, type ScopeKey } from "~/lib/scope";
import { useCan } from "~/lib/session";

import { errorOf, LinesField } from "./fields";
import { CustomRules, Detections, Dns, Files, Network, Processes } from "./sections";

interface Editor {
  initial: Rule;
  /** All rules of the draft, in their order. */
  rules: readonly Rule[];
  /** The place of the rule among them, or where it is to be put. */
  place: number;
  isNew: boolean;
  readOnly: boolean;
  onClose: () => void;
  onKeep: (rule: Rule) => void;
}

/** One rule: as a form with all its parts, and as YAML. Nothing is in force before the draft is saved. */
export function RuleEditor(props: Editor) {
  const { initial, isNew, onClose } = props;
  return (
    <Drawer opened onClose={onClose} size="min(860px, 100%)" title={<Text component="span" fw={620} className="break">{isNew ? "New rule" : initial.name}</Text>} closeButtonProps={{ "aria-label": "Close" }}>
      <Body {...props} />
    </Drawer>
  );
}

function Body({ initial, rules, place, isNew, readOnly, onClose, onKeep }: Editor) {
  const [rule, setRule] = useState(initial);
  const [tab, setTab] = useState<string>("form");
  const [yaml, setYaml] = useState("");
  // Fields keep what is being typed; a rule that comes from YAML makes them anew.
  const [version, setVersion] = useState(0);
  const proposed = isNew ? [...rules.slice(0, place), rule, ...rules.slice(place)] : rules.map((item, index) => (index === place ? rule : item));
  const [checked] = useDebouncedValue(proposed, 350);
  const check = useQuery({ queryKey: ["runtime-check", checked], queryFn: ({ signal }) => checkRules(checked, signal), placeholderData: (before) => before, staleTime: Infinity });
  const problems = placed(check.data?.problems ?? [], rule.name);
  const toYaml = useMutation({ mutationFn: () => asYaml([rule]), onSuccess: (text) => { setYaml(text); setTab("yaml"); } });
  const fromYaml = useMutation({
    mutationFn: async () => {
      const [found, ...others] = await readRules(yaml);
      if (!found || others.length > 0) throw new Error("the text has to hold one rule");
      return found;
    },
    onSuccess: (found) => { setRule(found); setVersion(version + 1); setTab("form"); return found; },
  });
  const keep = async () => {
    try {
      onKeep(tab === "yaml" && !readOnly ? await fromYaml.mutateAsync() : rule);
    } catch {
      // The reason is shown above the text.
    }
  };
  return (
    <Stack gap="md">
      <Tabs value={tab} onChange={(next) => (next === "yaml" ? toYaml.mutate() : tab === "yaml" && !readOnly ? fromYaml.mutate() : setTab(next ?? "form"))} keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="form">Form</Tabs.Tab>
          <Tabs.Tab value="yaml">YAML</Tabs.Tab>
          <Tabs.Tab value="trial" disabled={tab === "yaml"}>Try it</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="form" pt="md">
          <Form key={version} rule={rule} onChange={setRule} readOnly={readOnly} problems={problems} />
        </Tabs.Panel>
        <Tabs.Panel value="yaml" pt="md">
          <Stack gap="sm">
            <Problem title="This is not taken" error={fromYaml.error} />
            <CodeEditor label="The rule as YAML" language="yaml" value={yaml} onChange={setYaml} readOnly={readOnly} minHeight={320} maxHeight="65vh" />
          </Stack>
        </Tabs.Panel>
        <Tabs.Panel value="trial" pt="md"><Trial rules={proposed} /></Tabs.Panel>
      </Tabs>
      <Problem error={toYaml.error} />
      <Group justify="flex-end" gap="xs" style={{ position: "sticky", bottom: 0, background: "var(--mantine-color-body)", padding: "12px 0", borderTop: "1px solid var(--bz-line)" }}>
        {problems.length > 0 && tab === "form" && <Text size="sm" c="var(--mantine-color-error)" role="status">{problems.length === 1 ? "1 problem" : `${problems.length} problems`}</Text>}
        <Button variant="default" onClick={onClose}>{readOnly ? "Close" : "Cancel"}</Button>
        {!readOnly && <Button onClick={() => void keep()} disabled={tab !== "yaml" && (rule.name.trim() === "" || problems.length > 0)} loading={fromYaml.isPending}>{isNew ? "Add to the draft" : "Keep in the draft"}</Button>}
      </Group>
    </Stack>
  );
}

function Form({ rule, onChange, readOnly, problems }: { rule: Rule; onChange: (rule: Rule) => void; readOnly: boolean; problems: readonly Placed[] }) {
  const library = useQuery({ queryKey: ["custom-rules"], queryFn: () => got(api.GET("/api/v1/custom-rules")) });
  const props = { rule, onChange, readOnly, problems };
  const whole = problems.filter((problem) => problem.field === "");
  const parts: { value: string; title: string; about: string; state: ReactNode; body: ReactNode }[] = [
    { value: "scope", title: "Scope", about: "Which workloads it is for", state: <Text size="xs" c="dimmed" className="break">{rule.collections.map((item) => item.name).join(", ")}</Text>, body: <ScopePart {...props} /> },
    { value: "processes", title: "Processes", about: "Programs that start", state: <Effect effect={rule.processes?.effect ?? "disable"} />, body: <Processes {...props} /> },
    { value: "network", title: "Network", about: "Connections and listening ports", state: <Effect effect={rule.network?.effect ?? "disable"} />, body: <Network {...props} /> },
    { value: "dns", title: "DNS", about: "Names that are looked up", state: <Effect effect={rule.dns?.effect ?? "disable"} />, body: <Dns {...props} /> },
    { value: "filesystem", title: "Files", about: "Writes to files", state: <Effect effect={rule.filesystem?.effect ?? "disable"} />, body: <Files {...props} /> },
    { value: "detections", title: "Detections", about: "What Defenders find by themselves", state: <Text size="xs" c="dimmed">{Object.keys(rule.detections).length} of its own</Text>, body: <Detections {...props} /> },
    { value: "customRules", title: "Custom rules", about: "Conditions of your own", state: <Text size="xs" c="dimmed">{rule.customRules.length} attached</Text>, body: <CustomRules {...props} library={library.data ?? []} /> },
  ];
  return (
    <Stack gap="md">
      {whole.length > 0 && <Alert variant="default" role="alert" title="The Console would refuse this rule" styles={{ root: { borderColor: "var(--mantine-color-error)" } }}>{whole.map((problem) => problem.text).join("; ")}</Alert>}
      <Group align="flex-start" gap="md" wrap="wrap">
        <TextInput label="Name" required maxLength={256} style={{ flex: "1 1 16rem" }} value={rule.name} readOnly={readOnly} error={errorOf(problems, "name")} onChange={(event) => onChange({ ...rule, name: event.currentTarget.value })} data-autofocus />
        <Switch mt={28} label="Enabled" checked={!rule.disabled} disabled={readOnly} onChange={(event) => onChange({ ...rule, disabled: !event.currentTarget.checked })} />
      </Group>
      <Accordion multiple defaultValue={["processes"]} variant="separated" order={3}>
        {parts.map((part) => (
          <Accordion.Item key={part.value} value={part.value}>
            <Accordion.Control>
              <Group justify="space-between" wrap="nowrap" pr="sm" gap="sm">
                <span>
                  <Text component="span" fw={600} size="sm">{part.title}</Text>
                  <Text component="span" size="xs" c="dimmed" ml="xs" visibleFrom="xs">{part.about}</Text>
                </span>
                <Group gap="xs" wrap="nowrap">
                  {problems.some((problem) => problem.field.startsWith(part.value === "scope" ? "collections" : part.value)) && <Text size="xs" c="var(--mantine-color-error)">to mend</Text>}
                  {part.state}
                </Group>
              </Group>
            </Accordion.Control>
            <Accordion.Panel>{part.body}</Accordion.Panel>
          </Accordion.Item>
        ))}
      </Accordion>
      <Textarea label="Notes" description="For people: why the rule is there." autosize minRows={2} maxRows={8} value={rule.notes} readOnly={readOnly} onChange={(event) => onChange({ ...rule, notes: event.currentTarget.value })} />
    </Stack>
  );
}

/** Stored collections by their names, and one scope of the rule's own. */
function ScopePart({ rule, onChange, readOnly, problems }: { rule: Rule; onChange: (rule: Rule) => void; readOnly: boolean; problems: readonly Placed[] }) {
  const mayRead = useCan("collectionsRead");
  const stored = useQuery({ queryKey: ["collections"], queryFn: () => got(api.GET("/api/v1/collections")), enabled: mayRead });
  const names = stored.data?.map((item) => item.name) ?? ["All"];
  const chosen = rule.collections.filter((item) => names.includes(item.name)).map((item) => item.name);
  const own = rule.collections.filter((item) => !names.includes(item.name));
  const [first, ...others] = own;
  const put = (picked: readonly string[], mine: Rule["collections"]) => onChange({ ...rule, collections: [...picked.map((name) => ({ name }) as Rule["collections"][number]), ...mine] });
  const scope = scopeOf(first ?? {});
  const change = (key: ScopeKey, patterns: string[]) => {
    const next = { ...scope, [key]: patterns };
    put(chosen, asked(next).length === 0 ? others : [{ description: "", color: "", ...first, name: first?.name ?? `scope of ${rule.name}`.slice(0, 256), ...next }, ...others]);
  };
  return (
    <Stack gap="sm">
      <MultiSelect label="Collections" description="The rule is for workloads that any of them covers." placeholder={chosen.length === 0 ? "None" : ""} data={names} value={chosen} readOnly={readOnly} searchable clearable onChange={(picked) => put(picked, own)} error={errorOf(problems, "collections")} />
      <Text size="sm" fw={560}>A scope of its own</Text>
      <Text size="xs" c="dimmed">For one rule only, beside the collections. Every field has to match, in a field any one line; * stands for any characters, a leading - excludes.</Text>
      {SCOPE_FIELDS.map(({ key, title, about, example }) => (
        <LinesField key={key} label={title} description={about} placeholder={example} readOnly={readOnly} value={scope[key].filter((pattern) => pattern !== "*" || scope[key].length > 1)} onChange={(patterns) => change(key, patterns)} error={undefined} />
      ))}
    </Stack>
  );
}

/** What the draft would have done about what happened. */
export function Trial({ rules }: { rules: readonly Rule[] }) {
  const [days, setDays] = useState<number>(7);
  const trial = useMutation({ mutationFn: () => tryRules(rules, days) });
  return (
    <Stack gap="sm">
      <Text size="sm" c="dimmed">Every audit and every observed fact of the last days is judged again, by the policy in force and by the draft.</Text>
      <Group align="flex-end" gap="xs">
        <NumberInput label="Days to look back" w={150} min={1} max={90} clampBehavior="strict" value={days} onChange={(value) => setDays(Number(value) || 1)} />
        <Button variant="default" onClick={() => trial.mutate()} loading={trial.isPending}>Try it</Button>
      </Group>
      <Problem title="It could not be tried" error={trial.error} />
      {trial.data && <TrialOutcome trial={trial.data} />}
    </Stack>
  );
}
