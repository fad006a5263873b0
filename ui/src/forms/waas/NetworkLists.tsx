import { Button, Drawer, Group, Stack, Switch, TextInput, Textarea } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { DataTable } from "~/components/DataTable";
import { Empty } from "~/components/Empty";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { api, got, type Shapes } from "~/lib/api";

type List = Shapes["NetworkListShape"];

const KEY = ["waas", "networks"];
const FRESH: List = { _id: "", subnets: [], description: "", disabled: false, name: "", owner: "", modified: "" };

/** Named lists of networks, which access control, DoS protection and trusted proxies refer to. */
export function NetworkLists({ mayWrite }: { mayWrite: boolean }) {
  const [chosen, setChosen] = useState<{ list: List; isNew: boolean } | null>(null);
  const lists = useQuery({ queryKey: KEY, queryFn: () => got(api.GET("/api/v1/policies/firewall/app/network-list")) });
  return (
    <Stack gap="md">
      <Problem error={lists.error} />
      {mayWrite && <Group justify="flex-end"><Button variant="default" onClick={() => setChosen({ list: FRESH, isNew: true })}>New network list</Button></Group>}
      {lists.data?.length === 0 && <Empty title="There are no network lists">Name networks once, such as those of your office, and use the name in rules.</Empty>}
      {lists.data && lists.data.length > 0 && (
        <DataTable
          label="Network lists"
          rows={lists.data}
          rowKey={(row) => row._id}
          onOpen={(row) => setChosen({ list: row, isNew: false })}
          columns={[
            { key: "name", title: "Name", width: "22%", sort: (row) => row._id, render: (row) => row._id },
            { key: "subnets", title: "Networks", render: (row) => <span className="mono break">{row.subnets.slice(0, 4).join(", ")}{row.subnets.length > 4 && ` and ${row.subnets.length - 4} more`}</span> },
            { key: "description", title: "Description", render: (row) => row.description || "–" },
            { key: "modified", title: "Changed", width: 150, render: (row) => <Time value={row.modified} relative /> },
          ]}
        />
      )}
      <Drawer opened={chosen !== null} onClose={() => setChosen(null)} title={chosen?.isNew ? "New network list" : (chosen?.list._id ?? "")} keepMounted={false}>
        {chosen !== null && <Editor {...chosen} mayWrite={mayWrite} onDone={() => setChosen(null)} />}
      </Drawer>
    </Stack>
  );
}

function Editor({ list, isNew, mayWrite, onDone }: { list: List; isNew: boolean; mayWrite: boolean; onDone: () => void }) {
  const client = useQueryClient();
  const [draft, setDraft] = useState(list);
  const [text, setText] = useState(list.subnets.join("\n"));
  const done = async () => {
    await client.invalidateQueries({ queryKey: ["waas"] });
    onDone();
  };
  const save = useMutation({
    mutationFn: async () => {
      const body = { ...draft, _id: draft._id.trim(), subnets: text.split(/[\s,]+/).filter((line) => line !== "") };
      if (isNew) await api.POST("/api/v1/policies/firewall/app/network-list", { body });
      else await api.PUT("/api/v1/policies/firewall/app/network-list", { body });
    },
    onSuccess: done,
  });
  const remove = useMutation({ mutationFn: () => api.DELETE("/api/v1/policies/firewall/app/network-list/{name}", { params: { path: { name: list._id } } }), onSuccess: done });
  return (
    <Stack gap="sm">
      {isNew && <TextInput label="Name" required data-autofocus value={draft._id} onChange={(event) => setDraft({ ...draft, _id: event.currentTarget.value })} />}
      <TextInput label="Description" readOnly={!mayWrite} value={draft.description} onChange={(event) => setDraft({ ...draft, description: event.currentTarget.value })} />
      <Textarea label="Networks" description="IPv4 and IPv6, one a line" readOnly={!mayWrite} autosize minRows={6} maxRows={18} classNames={{ input: "mono" }} value={text} onChange={(event) => setText(event.currentTarget.value)} />
      <Switch label="Switched off: it stands for no network" disabled={!mayWrite} checked={draft.disabled} onChange={(event) => setDraft({ ...draft, disabled: event.currentTarget.checked })} />
      <Problem title="The list is unchanged" error={save.error ?? remove.error} />
      {mayWrite && (
        <Group justify="space-between">
          {isNew ? <span /> : <Button variant="subtle" color="red.9" loading={remove.isPending} onClick={() => remove.mutate()}>Remove list</Button>}
          <Button loading={save.isPending} disabled={draft._id.trim() === ""} onClick={() => save.mutate()}>Save</Button>
        </Group>
      )}
    </Stack>
  );
}
