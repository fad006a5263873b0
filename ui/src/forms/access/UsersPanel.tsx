import { Button, Group, PasswordInput, Stack, Text, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { Confirm } from "~/components/Confirm";
import { DataTable } from "~/components/DataTable";
import { Empty } from "~/components/Empty";
import { FilterBar, useFilters } from "~/components/FilterBar";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { limitedTo, limits, USERS } from "~/lib/access";
import { api, got, type Shapes } from "~/lib/api";
import { useCan, useSignedIn } from "~/lib/session";

import { Editor } from "./Editor";
import { CollectionsField, RoleField, Where } from "./Fields";

type User = Shapes["UserAnswer"];

const SHORTEST = 12;

/** The users, and the dialogue to add, change and remove them. */
export function UsersPanel() {
  const client = useQueryClient();
  const { get, set } = useFilters();
  const mayWrite = useCan("accessWrite");
  const [removing, setRemoving] = useState<User | null>(null);
  const users = useQuery({ queryKey: USERS, queryFn: () => got(api.GET("/api/v1/users")) });
  const all = users.data ?? [];
  const search = get("search").toLowerCase();
  const changed = () => client.invalidateQueries({ queryKey: ["access"] });
  const close = () => set({ open: null, new: null });
  const chosen = all.find((user) => user.username === get("open")) ?? null;
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <FilterBar placeholder="Name, role or group" />
        {mayWrite && <Button leftSection={<IconPlus size={16} />} onClick={() => set({ new: "1" })}>New user</Button>}
      </Group>
      <Problem error={users.error} retry={() => void users.refetch()} />
      {users.data && (
        <DataTable
          label="Users"
          rows={all.filter((user) => [user.username, user.role, ...user.groups].join("\n").toLowerCase().includes(search))}
          rowKey={(user) => user.username}
          onOpen={mayWrite ? (user) => set({ open: user.username }) : undefined}
          columns={[
            { key: "name", title: "User", width: "22%", sort: (user) => user.username, render: (user) => <Text component="span" size="sm" fw={550} truncate>{user.username}</Text> },
            { key: "role", title: "Role", width: 170, sort: (user) => user.role, render: (user) => user.role },
            { key: "where", title: "Holds in", render: (user) => <Where collections={limitedTo(user.permissions)} /> },
            { key: "groups", title: "Groups", render: (user) => user.groups.join(", ") || "–" },
            { key: "auth", title: "Signs in by", width: 130, render: (user) => (user.authType === "oidc" ? "identity provider" : "password") },
            { key: "login", title: "Last sign-in", width: 130, sort: (user) => user.lastLogin, render: (user) => <Time value={user.lastLogin} relative /> },
          ]}
        />
      )}
      {users.data && all.length === 1 && (
        <Empty title="You are the only user">
          Add people with the role that fits what they do, and pipelines by an API token. Add a second administrator for the day when you are not there.
        </Empty>
      )}
      {(chosen || get("new")) && (
        <UserEditor
          key={chosen?.username ?? ""}
          user={chosen}
          onClose={close}
          onSaved={changed}
          onRemove={() => {
            setRemoving(chosen);
            close();
          }}
        />
      )}
      <Confirm
        opened={removing !== null}
        onClose={() => setRemoving(null)}
        title={`Remove ${removing?.username ?? ""}?`}
        action="Remove"
        danger
        onConfirm={async () => {
          await api.DELETE("/api/v1/users/{name}", { params: { path: { name: removing?.username ?? "" } } });
          await changed();
        }}
      >
        Their sessions end and their API tokens are revoked at once. What they did stays in the log of changes.
      </Confirm>
    </Stack>
  );
}

function UserEditor({ user, onClose, onSaved, onRemove }: { user: User | null; onClose: () => void; onSaved: () => Promise<unknown>; onRemove: () => void }) {
  const me = useSignedIn().data?.session?.username;
  const [name, setName] = useState(user?.username ?? "");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState(user?.role ?? "");
  const [collections, setCollections] = useState(limitedTo(user?.permissions));
  const provided = user?.authType === "oidc";
  const short = password.length < SHORTEST && (password !== "" || user === null);
  const lacks = name === "" ? "A user has a name" : short && !provided ? `A password has at least ${SHORTEST} characters` : role === "" ? "A user has a role" : undefined;
  const save = async () => {
    const body: Shapes["UserChange"] = { username: name.trim(), role, password, authType: provided ? "oidc" : "basic", permissions: limits(collections) };
    await (user ? api.PUT("/api/v1/users", { body }) : api.POST("/api/v1/users", { body }));
    await onSaved();
  };
  return (
    <Editor
      title={user ? `User ${user.username}` : "New user"}
      action={user ? "Save" : "Add user"}
      lacks={lacks}
      onClose={onClose}
      onSubmit={save}
      extra={user && user.username !== me && <Button variant="subtle" color="red.9" onClick={onRemove}>Remove user</Button>}
    >
      <TextInput label="Name" required value={name} disabled={user !== null} onChange={(event) => setName(event.currentTarget.value)} maxLength={64} autoComplete="off" data-autofocus={user === null || undefined} />
      {!provided && (
        <PasswordInput
          label={user ? "New password" : "Password"}
          required={user === null}
          value={password}
          autoComplete="new-password"
          onChange={(event) => setPassword(event.currentTarget.value)}
          description={user ? "Leave it empty to keep the present one; a new one ends all their sessions." : `At least ${SHORTEST} characters; they can change it themselves.`}
        />
      )}
      <RoleField value={role} onChange={setRole} />
      <CollectionsField value={collections} onChange={setCollections} />
    </Editor>
  );
}
