import { Anchor, Button, ColorInput, Drawer, Group, List, SimpleGrid, Skeleton, Stack, TagsInput, Text, TextInput, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useMutation, useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { Link } from "react-router";

import { Problem } from "~/components/Problem";
import { api, got, type Shapes } from "~/lib/api";
import { SCOPE_FIELDS, scopeOf, type ScopeValue } from "~/lib/scope";

type Collection = Shapes["CollectionDocument"];
type Draft = Shapes["CollectionScope"];

const COLORS = ["#2a7de1", "#1b8a5a", "#7d4a00", "#a3221b", "#7b3fa0", "#0b7285", "#5c6773"];

interface Editor {
  opened: boolean;
  /** The one that is changed; null makes a new one. */
  collection: Collection | null;
  mayWrite: boolean;
  taken: readonly string[];
  onClose: () => void;
  onSaved: (name: string) => Promise<void>;
  onRemove: () => void;
}

/** A drawer to make or change a collection: its patterns, what they cover now, and what uses it. */
export function CollectionEditor({ opened, onClose, ...rest }: Editor) {
  const title = rest.collection === null ? "New collection" : rest.collection.name;
  return (
    <Drawer opened={opened} onClose={onClose} title={title} size="xl" keepMounted={false}>
      {opened && <Body onClose={onClose} {...rest} />}
    </Drawer>
  );
}

function Body({ collection, mayWrite, taken, onClose, onSaved, onRemove }: Omit<Editor, "opened">) {
  const [draft, setDraft] = useState<Draft>(() => ({
    name: collection?.name ?? "",
    description: collection?.description ?? "",
    color: collection?.color ?? COLORS[0] ?? "",
    ...scopeOf(collection ?? {}),
  }));
  const change = (part: Partial<Draft>) => setDraft((before) => ({ ...before, ...part }));
  const name = draft.name.trim();
  const known = collection === null && taken.includes(name);
  const save = useMutation({
    mutationFn: async () => {
      const body = { ...draft, name };
      if (collection === null) await api.POST("/api/v1/collections", { body });
      else await api.PUT("/api/v1/collections/{name}", { params: { path: { name } }, body });
      await onSaved(name);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (mayWrite && name !== "" && !known) save.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        {collection === null && <TextInput label="Name" required maxLength={128} data-autofocus value={draft.name} onChange={(event) => change({ name: event.currentTarget.value })} error={known ? "There is a collection of this name already" : undefined} description="It cannot be changed later." />}
        <SimpleGrid cols={{ base: 1, xs: 2 }}>
          <TextInput label="Description" maxLength={1000} readOnly={!mayWrite} value={draft.description} onChange={(event) => change({ description: event.currentTarget.value })} />
          <ColorInput label="Colour" disabled={!mayWrite} value={draft.color} onChange={(color) => change({ color })} swatches={COLORS} format="hex" popoverProps={{ withinPortal: true }} eyeDropperButtonProps={{ "aria-label": "Pick a colour from the screen" }} />
        </SimpleGrid>
        <ScopeFields scope={draft} mayWrite={mayWrite} onChange={change} />
        <Preview scope={scopeOf(draft)} />
        {collection !== null && <Usages name={collection.name} mayWrite={mayWrite} onRemove={onRemove} />}
        <Problem title="The collection is unchanged" error={save.error} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>{mayWrite ? "Cancel" : "Close"}</Button>
          {mayWrite && <Button type="submit" loading={save.isPending} disabled={name === "" || known}>{collection === null ? "Add collection" : "Save"}</Button>}
        </Group>
      </Stack>
    </form>
  );
}

function ScopeFields({ scope, mayWrite, onChange }: { scope: Draft; mayWrite: boolean; onChange: (part: Partial<ScopeValue>) => void }) {
  return (
    <Stack gap="xs">
      <div>
        <Title order={3} size="h3">Scope</Title>
        <Text size="xs" c="dimmed">
          Every field has to match, in a field any one pattern; an empty field is everything. <code>*</code> is any run of characters, a leading <code>-</code> excludes: <code>*</code> and <code>-*:latest</code> is all but <code>latest</code>.
        </Text>
      </div>
      <SimpleGrid cols={{ base: 1, xs: 2 }} verticalSpacing="xs">
        {SCOPE_FIELDS.map(({ key, title, about, example }) => (
          <TagsInput
            key={key}
            label={title}
            description={about}
            placeholder={scope[key].length === 0 ? example : undefined}
            readOnly={!mayWrite}
            value={scope[key].length === 1 && scope[key][0] === "*" ? [] : scope[key]}
            onChange={(patterns) => onChange({ [key]: patterns })}
            acceptValueOnBlur
            splitChars={[",", "\n"]}
            clearable={false}
          />
        ))}
      </SimpleGrid>
    </Stack>
  );
}

function Preview({ scope }: { scope: ScopeValue }) {
  const [settled] = useDebouncedValue(JSON.stringify(scope), 250);
  const preview = useQuery({
    queryKey: ["collections", "preview", settled],
    queryFn: () => got(api.POST("/api/v1/collections/preview", { body: { name: "", description: "", color: "", ...(JSON.parse(settled) as ScopeValue) } })),
    placeholderData: keepPreviousData,
    retry: false,
  });
  const found = preview.data;
  return (
    <section aria-label="What it covers now" className="card">
      <Group justify="space-between" gap="xs">
        <Title order={3} size="h3">Covers now</Title>
        {found && (
          <Text size="sm" c="dimmed" aria-live="polite">
            {count(found.total, "workload")} of {count(found.defenders, "Defender")}, {found.connected} connected
          </Text>
        )}
      </Group>
      {preview.error !== null && <Problem title="This scope cannot be kept" error={preview.error} />}
      {!found && preview.isPending && <Skeleton height={48} mt="xs" />}
      {found && preview.error === null && found.total === 0 && (
        <Text size="sm" c="dimmed" mt={4}>
          {found.connected === 0 ? "No Defender is connected, so there is nothing to try it on yet." : "None of the connected workloads lies in it. What is not known of a workload matches only an empty field."}
        </Text>
      )}
      {found && preview.error === null && found.total > 0 && (
        <List size="sm" mt={6} listStyleType="none" style={{ maxHeight: 180, overflowY: "auto" }} tabIndex={0} role="list" aria-label="Workloads">
          {found.matches.map((item, index) => (
            <List.Item key={index} className="break">
              <strong>{item.appID}</strong>
              {item.container !== null && <> · {item.container}</>}
              {item.image !== null && <Text component="span" size="sm" c="dimmed"> {item.image}</Text>}
            </List.Item>
          ))}
          {found.total > found.matches.length && <List.Item>and {found.total - found.matches.length} more</List.Item>}
        </List>
      )}
    </section>
  );
}

const USERS: Record<string, { word: string; path: string }> = {
  runtime: { word: "Runtime rule", path: "/defend/runtime" },
  waas: { word: "WAAS rule", path: "/defend/waas" },
  user: { word: "User", path: "/manage/access" },
  group: { word: "Group", path: "/manage/access" },
  apiToken: { word: "API token", path: "/manage/access" },
  registryScan: { word: "Registry", path: "/manage/credentials" },
  settings: { word: "Setting", path: "/manage/alerts" },
};

function Usages({ name, mayWrite, onRemove }: { name: string; mayWrite: boolean; onRemove: () => void }) {
  const usages = useQuery({ queryKey: ["collections", "usages", name], queryFn: () => got(api.GET("/api/v1/collections/{name}/usages", { params: { path: { name } } })) });
  const found = usages.data ?? [];
  return (
    <section aria-label="What uses it" className="card">
      <Group justify="space-between" gap="xs">
        <Title order={3} size="h3">Used by</Title>
        {mayWrite && (
          <Button size="compact-sm" variant="subtle" color="red.9" disabled={!usages.data || found.length > 0} title={found.length > 0 ? "Take it out of what uses it first" : undefined} onClick={onRemove}>
            Remove collection
          </Button>
        )}
      </Group>
      <Problem error={usages.error} />
      {usages.data && found.length === 0 && <Text size="sm" c="dimmed">Nothing yet: name it in a rule to put it to use.</Text>}
      <List size="sm" listStyleType="none" mt={4}>
        {found.map((item, index) => {
          const user = USERS[item.type === "policy" ? item.policy : item.type];
          return (
            <List.Item key={index} className="break">
              {user?.word ?? item.type} {user ? <Anchor component={Link} to={user.path} size="sm">{item.name}</Anchor> : item.name}
            </List.Item>
          );
        })}
      </List>
    </section>
  );
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}
