import { Alert, Button, Code, Drawer, Group, Select, SimpleGrid, Stack, Switch, Text, TextInput, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconCheck, IconSend } from "@tabler/icons-react";
import { keepPreviousData, useMutation, useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";

import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { blockOf, lacking, PERIODS, TARGETS, targetTitle, valuesOf, type Block, type Profile, type ProfileChange, type Trigger } from "~/lib/alerts";
import { api, got } from "~/lib/api";

import { TargetFields } from "./TargetFields";
import { TriggerFields } from "./TriggerFields";

interface Editor {
  opened: boolean;
  /** The one that is changed; null makes a new one. */
  profile: Profile | null;
  mayWrite: boolean;
  taken: readonly string[];
  onClose: () => void;
  onSaved: (name: string) => Promise<void>;
  onRemove: () => void;
}

/** A drawer to make or change an alert profile: to whom, what, how often; with a preview and a test. */
export function AlertEditor({ opened, onClose, ...rest }: Editor) {
  return (
    <Drawer opened={opened} onClose={onClose} title={rest.profile === null ? "New alert profile" : rest.profile.name} size="xl" keepMounted={false} closeButtonProps={{ "aria-label": "Close" }}>
      {opened && <Body onClose={onClose} {...rest} />}
    </Drawer>
  );
}

interface Draft {
  name: string;
  description: string;
  enabled: boolean;
  period: number;
  block: Block;
  policy: Record<string, Trigger>;
  values: Record<string, unknown>;
}

function begun(profile: Profile | null): Draft {
  const block = (profile?.target ?? "webhook") as Block;
  return {
    name: profile?.name ?? "",
    description: profile?.description ?? "",
    enabled: profile?.enabled ?? true,
    period: profile?.aggregationPeriodMs ?? 60_000,
    block,
    policy: profile?.policy ?? { appEmbeddedRuntime: { effects: ["prevent"] }, incident: {} },
    values: valuesOf(block, profile?.[block]),
  };
}

function bodyOf(draft: Draft): ProfileChange {
  const { name, description, enabled, period, policy, block, values } = draft;
  return { name: name.trim(), description, enabled, aggregationPeriodMs: period, policy, [block]: blockOf(block, values) } as ProfileChange;
}

function Body({ profile, mayWrite, taken, onClose, onSaved, onRemove }: Omit<Editor, "opened">) {
  const [draft, setDraft] = useState(() => begun(profile));
  const change = (part: Partial<Draft>) => setDraft((before) => ({ ...before, ...part }));
  const kept = profile?.target === draft.block ? profile.secretsSet : [];
  const lack = lacking(draft.block, draft.values, kept);
  const known = profile === null && taken.includes(draft.name.trim());
  const unready = draft.name.trim() === "" ? "Give it a name" : known ? "There is a profile of this name already" : lack ? `“${lack.title}” is needed` : "";
  const save = useMutation({
    mutationFn: async () => {
      await api.POST("/api/v1/alert-profiles", { body: bodyOf(draft) });
      await onSaved(draft.name.trim());
    },
  });
  const test = useMutation({ mutationFn: () => api.POST("/api/v1/alert-profiles/test", { body: bodyOf(draft) }) });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (mayWrite && unready === "") save.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        {profile !== null && <State profile={profile} />}
        <SimpleGrid cols={{ base: 1, xs: 2 }} verticalSpacing="xs">
          {profile === null && <TextInput label="Name" withAsterisk maxLength={100} data-autofocus value={draft.name} error={known ? "There is a profile of this name already" : undefined} onChange={(event) => change({ name: event.currentTarget.value })} />}
          <TextInput label="Description" maxLength={1000} readOnly={!mayWrite} value={draft.description} onChange={(event) => change({ description: event.currentTarget.value })} />
        </SimpleGrid>
        <Switch label="In use" description="What happens while a profile is off is not told afterwards." disabled={!mayWrite} checked={draft.enabled} onChange={(event) => change({ enabled: event.currentTarget.checked })} />
        <Stack gap="xs">
          <Title order={3} size="h3">To whom</Title>
          <Select
            label="Target"
            description={TARGETS.find(({ block }) => block === draft.block)?.about}
            allowDeselect={false}
            readOnly={!mayWrite}
            data={TARGETS.map(({ block, title }) => ({ value: block, label: title }))}
            value={draft.block}
            onChange={(found) => change({ block: found as Block, values: valuesOf(found as Block, profile?.[found as Block]) })}
          />
          <TargetFields block={draft.block} values={draft.values} kept={kept} mayWrite={mayWrite} onChange={(key, value) => change({ values: { ...draft.values, [key]: value } })} />
        </Stack>
        <Stack gap="xs">
          <Title order={3} size="h3">What is told</Title>
          <TriggerFields policy={draft.policy} mayWrite={mayWrite} onChange={(policy) => change({ policy })} />
        </Stack>
        <Select
          label="How often"
          description="The first event is told at once; more of the same within the time are told together at its end, with their number."
          allowDeselect={false}
          readOnly={!mayWrite}
          data={periods(draft.period)}
          value={String(draft.period)}
          onChange={(found) => change({ period: Number(found) })}
        />
        <Preview body={bodyOf(draft)} ready={draft.name.trim() !== "" && lack === undefined} />
        <div aria-live="polite">
          {test.isSuccess && <Alert variant="light" color="green" icon={<IconCheck />} title="The test alert arrived">{targetTitle(draft.block)} took it.</Alert>}
        </div>
        <Problem title="The test alert did not arrive" error={test.error} />
        <Problem title="The profile is unchanged" error={save.error} />
        <Group justify="space-between" gap="xs">
          {profile !== null && mayWrite ? <Button variant="subtle" color="red.9" onClick={onRemove}>Remove profile</Button> : <span />}
          <Group gap="xs">
            <Button variant="default" onClick={onClose}>{mayWrite ? "Cancel" : "Close"}</Button>
            {mayWrite && <Button variant="default" leftSection={<IconSend size={16} />} loading={test.isPending} disabled={unready !== ""} title={unready || undefined} onClick={() => test.mutate()}>Send a test</Button>}
            {mayWrite && <Button type="submit" loading={save.isPending} disabled={unready !== ""} title={unready || undefined}>{profile === null ? "Add profile" : "Save"}</Button>}
          </Group>
        </Group>
      </Stack>
    </form>
  );
}

function periods(present: number) {
  const value = String(present);
  return PERIODS.some((item) => item.value === value) ? [...PERIODS] : [...PERIODS, { value, label: `one alert in ${present / 1000} seconds` }];
}

function State({ profile }: { profile: Profile }) {
  const { state } = profile;
  return (
    <section className="card" aria-label="How it does">
      <Group gap="4px 20px" wrap="wrap">
        <Text size="sm"><strong>{state.sent}</strong> sent</Text>
        <Text size="sm"><strong>{state.waiting}</strong> waiting</Text>
        <Text size="sm" title="Given up after a day, or refused as they stood"><strong>{state.dropped}</strong> dropped</Text>
        <Text size="sm" title="Events that were too many to look at"><strong>{state.skipped}</strong> skipped</Text>
        <Text size="sm" c="dimmed">last sent <Time value={state.lastSent} relative /></Text>
      </Group>
      {state.lastError !== "" && <Text size="sm" mt={4} className="break"><Text component="span" size="sm" c="dimmed">Last error <Time value={state.lastErrorTime} relative />: </Text>{state.lastError}</Text>}
      {state.nextTry !== "" && <Text size="sm" c="dimmed">Tried again <Time value={state.nextTry} /></Text>}
    </section>
  );
}

function Preview({ body, ready }: { body: ProfileChange; ready: boolean }) {
  const [settled] = useDebouncedValue(ready ? JSON.stringify(body) : "", 300);
  const preview = useQuery({
    queryKey: ["alert-profiles", "preview", settled],
    queryFn: () => got(api.POST("/api/v1/alert-profiles/preview", { body: JSON.parse(settled) as ProfileChange })),
    placeholderData: keepPreviousData,
    enabled: ready && settled !== "",
    retry: false,
  });
  const found = ready ? preview.data : undefined;
  return (
    <section className="card" aria-label="Preview">
      <Title order={3} size="h3">What would be sent</Title>
      {!ready && <Text size="sm" c="dimmed">Fill in the name and what the target needs to see the message.</Text>}
      {ready && settled !== "" && <Problem title="The message cannot be written" error={preview.error} />}
      {found && preview.error === null && (
        <Stack gap={6} mt={4}>
          <Text size="sm" className="break"><Text component="span" size="sm" c="dimmed">{found.carrier} to </Text><span className="mono">{found.place || "the kept address"}</span></Text>
          <Code block mah={280} tabIndex={0} role="region" aria-label="Message" className="break">
            {[...Object.entries(found.headers).map(([name, value]) => `${name}: ${value}`), "", found.text].join("\n").trim()}
          </Code>
        </Stack>
      )}
    </section>
  );
}
