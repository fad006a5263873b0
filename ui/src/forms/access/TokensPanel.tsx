import { Alert, Button, Code, CopyButton, Group, Select, Stack, Switch, Text, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { Confirm } from "~/components/Confirm";
import { DataTable } from "~/components/DataTable";
import { Empty } from "~/components/Empty";
import { useFilters } from "~/components/FilterBar";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { TOKENS } from "~/lib/access";
import { api, got, type Shapes } from "~/lib/api";
import { useCan } from "~/lib/session";

import { Editor } from "./Editor";
import { CollectionsField, RoleField, Where } from "./Fields";

type Token = Shapes["TokenAnswer"];

const DAY = 24 * 60 * 60 * 1000;
const LIVES = [
  { value: "30", label: "30 days" },
  { value: "90", label: "90 days" },
  { value: "365", label: "One year" },
  { value: "", label: "Until it is revoked" },
];

/** API tokens: one's own, or everybody's. */
export function TokensPanel() {
  const client = useQueryClient();
  const { get, set } = useFilters();
  const maySeeAll = useCan("accessRead");
  const everybody = maySeeAll && get("all") !== "";
  const [made, setMade] = useState("");
  const [revoking, setRevoking] = useState<Token | null>(null);
  const tokens = useQuery({ queryKey: [...TOKENS, everybody], queryFn: () => got(api.GET("/api/v1/tokens", { params: { query: { all: everybody } } })) });
  const all = tokens.data ?? [];
  const changed = () => client.invalidateQueries({ queryKey: ["access"] });
  const add = <Button leftSection={<IconPlus size={16} />} onClick={() => set({ new: "1" })}>New API token</Button>;
  return (
    <Stack gap="sm">
      {made !== "" && <Made token={made} onClose={() => setMade("")} />}
      <Group justify="space-between">
        {maySeeAll ? <Switch label="Everybody's" checked={everybody} onChange={(event) => set({ all: event.currentTarget.checked ? "1" : null })} /> : <span />}
        {all.length > 0 && add}
      </Group>
      <Problem error={tokens.error} retry={() => void tokens.refetch()} />
      {all.length > 0 && (
        <DataTable
          label="API tokens"
          rows={all}
          rowKey={(token) => token._id}
          columns={[
            { key: "name", title: "Name", sort: (token) => token.name, render: (token) => <Text component="span" size="sm" fw={550} truncate>{token.name}</Text> },
            { key: "user", title: "User", width: 130, sort: (token) => token.username, render: (token) => token.username },
            { key: "role", title: "No more than", width: 170, render: (token) => token.role || (token.permissions.length > 0 ? `${token.permissions.length} permissions` : "their own rights") },
            { key: "where", title: "Holds in", width: 150, render: (token) => <Where collections={token.collections} /> },
            { key: "used", title: "Last used", width: 120, sort: (token) => token.lastUsed, render: (token) => <Time value={token.lastUsed} relative /> },
            { key: "expires", title: "Ends", width: 120, sort: (token) => token.expires, render: (token) => (token.expires ? <Time value={token.expires} relative /> : "never") },
            {
              key: "revoke",
              title: "",
              width: 100,
              align: "end",
              render: (token) => <Button size="compact-xs" variant="subtle" onClick={() => setRevoking(token)} aria-label={`Revoke ${token.name}`}>Revoke</Button>,
            },
          ]}
        />
      )}
      {tokens.data && all.length === 0 && (
        <Empty title="There are no API tokens" actions={add}>
          A token lets a pipeline or a program in without your password: with fewer rights than yours, until its end. It is sent as a bearer token, or as the password of your name.
        </Empty>
      )}
      {get("new") && (
        <TokenMaker
          onClose={() => set({ new: null })}
          onMade={async (token) => {
            setMade(token);
            await changed();
          }}
        />
      )}
      <Confirm
        opened={revoking !== null}
        onClose={() => setRevoking(null)}
        title={`Revoke ${revoking?.name ?? ""}?`}
        action="Revoke"
        danger
        onConfirm={async () => {
          await api.DELETE("/api/v1/tokens/{token}", { params: { path: { token: revoking?._id ?? "" } } });
          await changed();
        }}
      >
        Whatever uses it is refused from the next request on.
      </Confirm>
    </Stack>
  );
}

function Made({ token, onClose }: { token: string; onClose: () => void }) {
  return (
    <Alert variant="default" title="Your new API token" withCloseButton onClose={onClose} closeButtonLabel="Close">
      <Stack gap="xs" align="flex-start">
        <Text size="sm">It is shown this once. Keep it where your pipeline keeps its secrets.</Text>
        <Code block className="break">{token}</Code>
        <CopyButton value={token}>{({ copied, copy }) => <Button size="xs" variant="default" onClick={copy}>{copied ? "Copied" : "Copy"}</Button>}</CopyButton>
      </Stack>
    </Alert>
  );
}

function TokenMaker({ onClose, onMade }: { onClose: () => void; onMade: (token: string) => Promise<unknown> }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState("");
  const [collections, setCollections] = useState<string[]>([]);
  const [life, setLife] = useState("90");
  const maySeeRoles = useCan("accessRead");
  const save = async () => {
    const expires = life === "" ? "" : new Date(Date.now() + Number(life) * DAY).toISOString();
    const answer = await got(api.POST("/api/v1/tokens", { body: { name: name.trim(), role, permissions: [], collections, expires } }));
    await onMade(answer.token ?? "");
  };
  return (
    <Editor title="New API token" action="Make token" lacks={name.trim() === "" ? "A token has a name" : undefined} onClose={onClose} onSubmit={save}>
      <TextInput label="What it is for" placeholder="nightly build" required value={name} onChange={(event) => setName(event.currentTarget.value)} maxLength={100} data-autofocus />
      {maySeeRoles && <RoleField label="No more than the role" value={role} onChange={setRole} clearable />}
      <CollectionsField value={collections} onChange={setCollections} />
      <Select label="Good for" data={LIVES} value={life} onChange={(value) => setLife(value ?? "")} allowDeselect={false} />
    </Editor>
  );
}
