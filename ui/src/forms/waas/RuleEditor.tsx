import { Button, Drawer, Group, MultiSelect, NumberInput, Select, SimpleGrid, Stack, Tabs, TagsInput, TextInput, Textarea } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { IconPlus } from "@tabler/icons-react";
import { useState } from "react";

import { CodeEditor } from "~/components/CodeEditor";
import { Problem } from "~/components/Problem";
import { api, got } from "~/lib/api";
import { pretty, withAt } from "~/lib/document";
import { newApplication, type WaasApplication, type WaasRule } from "~/lib/waas";

import type { Draft } from "./fields";
import { AccessControl, ApiProtection, Bots, Dos, Endpoints, Exceptions, OwnRules, Protections } from "./sections";

interface Editor {
  opened: boolean;
  rule: WaasRule | null;
  readOnly: boolean;
  /** The names of the other rules. */
  taken: readonly string[];
  onClose: () => void;
  /** Called with the changed rule, to be reviewed and saved. */
  onReview: (rule: WaasRule) => void;
  onRemove?: () => void;
}

/** A drawer with one WAAS rule: its scope, and each of its applications in tabs. */
export function RuleEditor({ opened, onClose, rule, ...rest }: Editor) {
  return (
    <Drawer opened={opened} onClose={onClose} title={rule?.name === "" ? "New WAAS rule" : `WAAS rule ${rule?.name ?? ""}`} size="min(1080px, 100%)" keepMounted={false}>
      {opened && rule !== null && <Body rule={rule} onClose={onClose} {...rest} />}
    </Drawer>
  );
}

const PARTS = [
  { value: "endpoints", label: "Endpoints", Part: Endpoints },
  { value: "protections", label: "Protections", Part: Protections },
  { value: "exceptions", label: "Exceptions", Part: Exceptions },
  { value: "api", label: "API", Part: ApiProtection },
  { value: "access", label: "Access", Part: AccessControl },
  { value: "bots", label: "Bots", Part: Bots },
  { value: "dos", label: "DoS", Part: Dos },
  { value: "own", label: "Own rules and responses", Part: OwnRules },
] as const;

function Body({ rule: initial, readOnly, taken, onClose, onReview, onRemove }: Omit<Editor, "opened" | "rule"> & { rule: WaasRule }) {
  const [rule, setRule] = useState(initial);
  const [which, setWhich] = useState(0);
  const applications = rule.applicationsSpec;
  const application = applications[Math.min(which, applications.length - 1)];
  const clash = taken.includes(rule.name.trim());
  const change = (changed: WaasApplication) => setRule(withAt(rule, ["applicationsSpec", Math.min(which, applications.length - 1)], changed));
  const add = () => {
    setRule({ ...rule, applicationsSpec: [...applications, newApplication(`app ${applications.length + 1}`, { exposedPort: 80, internalPort: 8080 })] });
    setWhich(applications.length);
  };
  return (
    <Stack gap="md">
      <General rule={rule} readOnly={readOnly} clash={clash} onChange={setRule} />
      <Group gap="xs" align="flex-end">
        <Select label="Application" w={240} allowDeselect={false} value={String(Math.min(which, applications.length - 1))} onChange={(value) => setWhich(Number(value ?? 0))} data={applications.map((item, index) => ({ value: String(index), label: item.appID === "" ? `application ${index + 1}` : item.appID }))} />
        {application && !readOnly && <TextInput label="Its name" w={220} value={application.appID} onChange={(event) => change({ ...application, appID: event.currentTarget.value })} />}
        {!readOnly && <Button variant="default" leftSection={<IconPlus size={14} />} onClick={add}>Add application</Button>}
        {!readOnly && applications.length > 1 && <Button variant="subtle" color="red.9" onClick={() => setRule({ ...rule, applicationsSpec: applications.filter((_, index) => index !== which) })}>Remove it</Button>}
      </Group>
      {application && <Parts key={which} draft={{ application, change, readOnly }} />}
      <Group justify="space-between" gap="xs">
        {onRemove && !readOnly ? <Button variant="subtle" color="red.9" onClick={onRemove}>Remove rule</Button> : <span />}
        <Group gap="xs">
          <Button variant="default" onClick={onClose}>{readOnly ? "Close" : "Cancel"}</Button>
          {!readOnly && <Button disabled={rule.name.trim() === "" || clash} onClick={() => onReview({ ...rule, name: rule.name.trim() })}>Review changes</Button>}
        </Group>
      </Group>
    </Stack>
  );
}

function Parts({ draft }: { draft: Draft }) {
  return (
    <Tabs defaultValue="endpoints" keepMounted={false}>
      <Tabs.List mb="md">
        {PARTS.map(({ value, label }) => <Tabs.Tab key={value} value={value}>{label}</Tabs.Tab>)}
        <Tabs.Tab value="json">JSON</Tabs.Tab>
      </Tabs.List>
      {PARTS.map(({ value, Part }) => <Tabs.Panel key={value} value={value}><Part draft={draft} /></Tabs.Panel>)}
      <Tabs.Panel value="json"><JsonView draft={draft} /></Tabs.Panel>
    </Tabs>
  );
}

function JsonView({ draft }: { draft: Draft }) {
  const [text, setText] = useState(() => pretty(draft.application));
  const [error, setError] = useState<string | null>(null);
  const read = (changed: string) => {
    setText(changed);
    try {
      draft.change(JSON.parse(changed) as WaasApplication);
      setError(null);
    } catch (reason) {
      setError(reason instanceof Error ? reason.message : String(reason));
    }
  };
  return (
    <Stack gap="xs">
      <CodeEditor label="The application as JSON" language="json" value={text} onChange={read} readOnly={draft.readOnly} />
      <Problem title="This is no JSON yet: the forms keep what was there before" error={error} />
    </Stack>
  );
}

function General({ rule, readOnly, clash, onChange }: { rule: WaasRule; readOnly: boolean; clash: boolean; onChange: (rule: WaasRule) => void }) {
  const collections = useQuery({ queryKey: ["collections"], queryFn: () => got(api.GET("/api/v1/collections")), retry: false });
  const scopes = rule.collections ?? [];
  const names = [...new Set([...(collections.data ?? []).map((item) => item.name), ...scopes.map((item) => item.name)])];
  const scope = (chosen: string[]) => onChange({ ...rule, collections: chosen.map((name) => scopes.find((item) => item.name === name) ?? { name }) as WaasRule["collections"] });
  return (
    <SimpleGrid cols={{ base: 1, xs: 2 }} verticalSpacing="xs">
      <TextInput label="Name" required readOnly={readOnly} value={rule.name} error={clash ? "There is a rule of this name already" : undefined} onChange={(event) => onChange({ ...rule, name: event.currentTarget.value })} />
      <MultiSelect label="Collections" description="The workloads that the rule is for" data={names} value={scopes.map((item) => item.name)} readOnly={readOnly} onChange={scope} searchable />
      <Select label="Profile" description="crsStrict is the Core Rule Set to the bit" data={["balanced", "crsStrict"]} allowDeselect={false} readOnly={readOnly} value={rule.profile ?? "balanced"} onChange={(profile) => onChange({ ...rule, profile: profile as WaasRule["profile"] })} />
      <NumberInput label="Time for a request's head" suffix=" s" min={1} max={3600} readOnly={readOnly} value={rule.readTimeoutSeconds ?? 5} onChange={(seconds) => typeof seconds === "number" && onChange({ ...rule, readTimeoutSeconds: seconds })} />
      <TagsInput label="Trusted proxies" description="Whose X-Forwarded-For is believed; empty: private addresses" readOnly={readOnly} value={rule.trustedProxies ?? []} onChange={(proxies) => onChange({ ...rule, trustedProxies: proxies.length === 0 ? null : proxies })} acceptValueOnBlur />
      <Textarea label="Notes" autosize minRows={1} maxRows={6} readOnly={readOnly} value={rule.notes ?? ""} onChange={(event) => onChange({ ...rule, notes: event.currentTarget.value })} />
    </SimpleGrid>
  );
}
