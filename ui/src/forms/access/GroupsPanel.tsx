import { Button, Group, MultiSelect, Stack, Text, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { Confirm } from "~/components/Confirm";
import { DataTable } from "~/components/DataTable";
import { Empty } from "~/components/Empty";
import { useFilters } from "~/components/FilterBar";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { GROUPS, limitedTo, limits, USERS } from "~/lib/access";
import { api, got, type Shapes } from "~/lib/api";
import { useCan } from "~/lib/session";

import { Editor } from "./Editor";
import { CollectionsField, RoleField, Where } from "./Fields";

type Team = Shapes["GroupAnswer"];

/** The groups, in the order in which they are asked. */
export function GroupsPanel() {
  const client = useQueryClient();
  const { get, set } = useFilters();
  const mayWrite = useCan("accessWrite");
  const [removing, setRemoving] = useState<Team | null>(null);
  const groups = useQuery({ queryKey: GROUPS, queryFn: () => got(api.GET("/api/v1/groups")) });
  const all = groups.data ?? [];
  const changed = () => client.invalidateQueries({ queryKey: ["access"] });
  const close = () => set({ open: null, new: null });
  const chosen = all.find((group) => group._id === get("open")) ?? null;
  const add = mayWrite && <Button leftSection={<IconPlus size={16} />} onClick={() => set({ new: "1" })}>New group</Button>;
  return (
    <Stack gap="sm">
      {all.length > 0 && <Group justify="flex-end">{add}</Group>}
      <Problem error={groups.error} retry={() => void groups.refetch()} />
      {all.length > 0 && (
        <DataTable
          label="Groups"
          rows={all}
          rowKey={(group) => group._id}
          onOpen={mayWrite ? (group) => set({ open: group._id }) : undefined}
          columns={[
            { key: "name", title: "Group", width: "24%", sort: (group) => group.groupName, render: (group) => <Text component="span" size="sm" fw={550} truncate>{group.groupName}</Text> },
            { key: "role", title: "Gives the role", width: 170, sort: (group) => group.role, render: (group) => group.role },
            { key: "where", title: "Holds in", render: (group) => <Where collections={limitedTo(group.permissions)} /> },
            { key: "users", title: "Users", width: 90, align: "end", sort: (group) => group.user.length, render: (group) => group.user.length },
            { key: "changed", title: "Changed", width: 130, sort: (group) => group.lastModified, render: (group) => <Time value={group.lastModified} relative /> },
          ]}
        />
      )}
      {groups.data && all.length === 0 && (
        <Empty title="There are no groups" actions={add}>
          A group gives its role to its users beside their own. Each role holds in its own collections: who operates the shop and audits everything has one role of their own and one by a group.
        </Empty>
      )}
      {(chosen || get("new")) && (
        <GroupEditor
          key={chosen?._id ?? ""}
          group={chosen}
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
        title={`Remove ${removing?.groupName ?? ""}?`}
        action="Remove"
        danger
        onConfirm={async () => {
          await api.DELETE("/api/v1/groups/{name}", { params: { path: { name: removing?._id ?? "" } } });
          await changed();
        }}
      >
        Its users keep their own roles, and lose {removing?.role} at once.
      </Confirm>
    </Stack>
  );
}

function GroupEditor({ group, onClose, onSaved, onRemove }: { group: Team | null; onClose: () => void; onSaved: () => Promise<unknown>; onRemove: () => void }) {
  const people = useQuery({ queryKey: USERS, queryFn: () => got(api.GET("/api/v1/users")) });
  const [name, setName] = useState(group?.groupName ?? "");
  const [role, setRole] = useState(group?.role ?? "");
  const [members, setMembers] = useState(group?.user.map((user) => user.username) ?? []);
  const [collections, setCollections] = useState(limitedTo(group?.permissions));
  const [provided, setProvided] = useState(group?.oidcGroup ?? "");
  const save = async () => {
    const body: Shapes["GroupChange"] = {
      groupName: name.trim(),
      role,
      user: members.map((username) => ({ username })),
      permissions: limits(collections),
      oidcGroup: provided.trim(),
      _id: group?._id ?? "",
    };
    await (group ? api.PUT("/api/v1/groups/{name}", { params: { path: { name: group._id } }, body }) : api.POST("/api/v1/groups", { body }));
    await onSaved();
  };
  return (
    <Editor
      title={group ? `Group ${group.groupName}` : "New group"}
      action={group ? "Save" : "Add group"}
      lacks={name === "" ? "A group has a name" : role === "" ? "A group gives a role" : undefined}
      onClose={onClose}
      onSubmit={save}
      extra={group && <Button variant="subtle" color="red.9" onClick={onRemove}>Remove group</Button>}
    >
      <TextInput label="Name" required value={name} disabled={group !== null} onChange={(event) => setName(event.currentTarget.value)} maxLength={99} data-autofocus={group === null || undefined} />
      <RoleField value={role} onChange={setRole} label="Role that it gives" />
      <CollectionsField value={collections} onChange={setCollections} />
      <MultiSelect label="Users" data={people.data?.map((user) => user.username) ?? members} value={members} onChange={setMembers} searchable clearable placeholder={members.length === 0 ? "Nobody yet" : undefined} />
      <TextInput label="Its name at the identity provider" description="Who signs in by that, and is in it there, gets this role." value={provided} onChange={(event) => setProvided(event.currentTarget.value)} maxLength={200} />
    </Editor>
  );
}
