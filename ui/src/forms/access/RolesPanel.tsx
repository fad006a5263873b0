import { Button, Checkbox, Group, SimpleGrid, Stack, Text, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { Confirm } from "~/components/Confirm";
import { DataTable } from "~/components/DataTable";
import { useFilters } from "~/components/FilterBar";
import { Problem } from "~/components/Problem";
import { inWords, useRoles } from "~/lib/access";
import { api, type Shapes } from "~/lib/api";
import { useCan } from "~/lib/session";

import { Editor } from "./Editor";

type Role = Shapes["RoleAnswer"];

/** The roles: those of every Console, and those that people made. */
export function RolesPanel() {
  const client = useQueryClient();
  const { get, set } = useFilters();
  const mayWrite = useCan("accessWrite");
  const [removing, setRemoving] = useState<Role | null>(null);
  const roles = useRoles();
  const all = roles.data ?? [];
  const changed = () => client.invalidateQueries({ queryKey: ["access"] });
  const close = () => set({ open: null, new: null });
  const chosen = all.find((role) => role.name === get("open")) ?? null;
  const every = all.find((role) => role.name === "Administrator")?.permissions ?? [];
  return (
    <Stack gap="sm">
      {mayWrite && (
        <Group justify="flex-end">
          <Button leftSection={<IconPlus size={16} />} onClick={() => set({ new: "1" })}>New role</Button>
        </Group>
      )}
      <Problem error={roles.error} retry={() => void roles.refetch()} />
      {roles.data && (
        <DataTable
          label="Roles"
          rows={all}
          rowKey={(role) => role.name}
          onOpen={(role) => set({ open: role.name })}
          columns={[
            { key: "name", title: "Role", width: 210, sort: (role) => role.name, render: (role) => <Text component="span" size="sm" fw={550}>{role.name}</Text> },
            { key: "for", title: "For", render: (role) => role.description || "–" },
            { key: "permissions", title: "Permissions", width: 120, align: "end", sort: (role) => role.permissions.length, render: (role) => `${role.permissions.length} of ${every.length}` },
            { key: "holders", title: "Given to", width: 100, align: "end", sort: (role) => role.holders.length, render: (role) => role.holders.length || "–" },
            { key: "origin", title: "Origin", width: 100, render: (role) => (role.system ? "built in" : "yours") },
          ]}
        />
      )}
      {(chosen || get("new")) && (
        <RoleEditor
          key={chosen?.name ?? ""}
          role={chosen}
          every={every}
          fixed={!mayWrite || (chosen?.system ?? false)}
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
        title={`Remove the role ${removing?.name ?? ""}?`}
        action="Remove"
        danger
        onConfirm={async () => {
          await api.DELETE("/api/v1/rbac/roles/{name}", { params: { path: { name: removing?.name ?? "" } } });
          await changed();
        }}
      >
        Nobody has it. The name is free again afterwards.
      </Confirm>
    </Stack>
  );
}

function RoleEditor({ role, every, fixed, onClose, onSaved, onRemove }: { role: Role | null; every: readonly string[]; fixed: boolean; onClose: () => void; onSaved: () => Promise<unknown>; onRemove: () => void }) {
  const [name, setName] = useState(role?.name ?? "");
  const [description, setDescription] = useState(role?.description ?? "");
  const [permissions, setPermissions] = useState<string[]>(role?.permissions ?? []);
  const save = async () => {
    if (fixed) return;
    const body = { name: name.trim(), description, permissions };
    await (role ? api.PUT("/api/v1/rbac/roles/{name}", { params: { path: { name: role.name } }, body }) : api.POST("/api/v1/rbac/roles", { body }));
    await onSaved();
  };
  const held = role?.holders ?? [];
  return (
    <Editor
      title={role ? `Role ${role.name}` : "New role"}
      action={fixed ? "Close" : role ? "Save" : "Add role"}
      lacks={name === "" ? "A role has a name" : permissions.length === 0 ? "A role gives some permission" : undefined}
      onClose={onClose}
      onSubmit={save}
      extra={!fixed && role && <Button variant="subtle" color="red.9" disabled={held.length > 0} title={held.length > 0 ? "Somebody has it" : undefined} onClick={onRemove}>Remove role</Button>}
    >
      {fixed ? (
        <Text size="sm" c="dimmed">{role?.system ? "This role is the same in every Console. Make one of your own to give other permissions." : "You may look at roles, not change them."}</Text>
      ) : (
        <>
          <TextInput label="Name" required value={name} disabled={role !== null} onChange={(event) => setName(event.currentTarget.value)} maxLength={99} data-autofocus={role === null || undefined} />
          <TextInput label="What it is for" value={description} onChange={(event) => setDescription(event.currentTarget.value)} maxLength={1000} />
        </>
      )}
      <Checkbox.Group label="Permissions" value={permissions} onChange={fixed ? undefined : setPermissions}>
        <SimpleGrid cols={{ base: 1, xs: 2, sm: 3 }} spacing={6} mt={6}>
          {every.map((permission) => (
            <Checkbox key={permission} value={permission} label={inWords(permission)} disabled={fixed && !permissions.includes(permission)} readOnly={fixed} />
          ))}
        </SimpleGrid>
      </Checkbox.Group>
      {held.length > 0 && <Text size="sm" className="break">Given to {held.join(", ")}.</Text>}
    </Editor>
  );
}
