import { Button, Group, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconPlus } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { Confirm } from "~/components/Confirm";
import { DataTable } from "~/components/DataTable";
import { Empty } from "~/components/Empty";
import { FilterBar, useFilters } from "~/components/FilterBar";
import { Page } from "~/components/Page";
import { Problem } from "~/components/Problem";
import { ScopeSummary } from "~/components/Scope";
import { Time } from "~/components/Time";
import { CollectionEditor } from "~/forms/CollectionEditor";
import { api, got, type Shapes } from "~/lib/api";
import { SCOPE_FIELDS } from "~/lib/scope";
import { useCan } from "~/lib/session";
import { Swatch } from "~/ui/Swatch";

type Collection = Shapes["CollectionDocument"];

const KEY = ["collections"];

/** Named scopes: the list, an editor with a live preview, and what uses each. */
export default function Collections() {
  const client = useQueryClient();
  const mayWrite = useCan("collectionsWrite");
  const { get, set } = useFilters();
  const [removing, setRemoving] = useState<Collection | null>(null);
  const collections = useQuery({ queryKey: KEY, queryFn: () => got(api.GET("/api/v1/collections")) });
  const all = collections.data ?? [];
  const shown = all.filter((item) => fits(item, get("search")));
  const opened = get("open");
  const chosen = all.find((item) => item.name === opened) ?? null;
  const making = opened === "" && get("new") !== "";
  const changed = () => client.invalidateQueries({ queryKey: KEY, exact: true });
  const close = () => set({ open: null, new: null });
  return (
    <Page
      title="Collections"
      description="A collection is a named scope: rules, users and alerts name it instead of repeating patterns. A change is in force at once in every rule that names it."
      actions={mayWrite && <Button leftSection={<IconPlus size={16} />} onClick={() => set({ new: "1", open: null })}>New collection</Button>}
    >
      <Problem error={collections.error} retry={() => void collections.refetch()} />
      {all.length > 1 && <FilterBar placeholder="Name, description or pattern" />}
      {collections.data && (
        <DataTable
          label="Collections"
          rows={shown}
          rowKey={(row) => row.name}
          chosen={opened || null}
          onOpen={(row) => set({ open: row.name, new: null })}
          columns={[
            { key: "name", title: "Name", width: "26%", sort: (row) => row.name, render: (row) => <Name collection={row} /> },
            { key: "scope", title: "Scope", render: (row) => <ScopeSummary scope={row} /> },
            { key: "owner", title: "Changed by", width: 140, sort: (row) => row.owner, render: (row) => row.owner || "–" },
            { key: "modified", title: "Changed", width: 150, sort: (row) => row.modified, render: (row) => <Time value={row.modified} relative /> },
          ]}
        />
      )}
      {collections.data && all.length <= 1 && (
        <Empty
          title="There is only the built-in collection"
          order={2}
          actions={mayWrite && <Button variant="default" onClick={() => set({ new: "1", open: null })}>Make the first collection</Button>}
        >
          Give a name to what belongs together, such as all workloads of one team or everything in production. Rules can then say
          what they are for in one word, and a user can be limited to it.
        </Empty>
      )}
      <CollectionEditor
        key={chosen?.name ?? String(making)}
        opened={making || chosen !== null}
        collection={chosen}
        mayWrite={mayWrite && !(chosen?.system ?? false)}
        taken={all.map((item) => item.name)}
        onClose={close}
        onRemove={() => setRemoving(chosen)}
        onSaved={async (name) => {
          await changed();
          notifications.show({ message: `Collection “${name}” is kept, and in force where it is named.` });
          close();
        }}
      />
      <Confirm
        opened={removing !== null}
        onClose={() => setRemoving(null)}
        title={`Remove “${removing?.name ?? ""}”?`}
        action="Remove"
        danger
        onConfirm={async () => {
          await api.DELETE("/api/v1/collections/{name}", { params: { path: { name: removing?.name ?? "" } } });
          close();
          await changed();
        }}
      >
        Nothing uses it. The name is free again afterwards.
      </Confirm>
    </Page>
  );
}

function Name({ collection }: { collection: Collection }) {
  return (
    <Group gap={8} wrap="nowrap" align="center">
      <Swatch color={collection.color} />
      <div style={{ minWidth: 0 }}>
        <Text component="span" size="sm" fw={550} truncate display="block">{collection.name}</Text>
      </div>
      {collection.system && <Text component="span" size="xs" c="dimmed">built in</Text>}
    </Group>
  );
}

function fits(item: Collection, search: string): boolean {
  const text = [item.name, item.description, ...SCOPE_FIELDS.flatMap(({ key }) => item[key])].join("\n").toLowerCase();
  return text.includes(search.trim().toLowerCase());
}
