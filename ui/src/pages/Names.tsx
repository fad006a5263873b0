import { Alert, Button, Group, Stack, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";

import { DataTable } from "~/components/DataTable";
import { Page } from "~/components/Page";
import { Problem } from "~/components/Problem";
import { api, got } from "~/lib/api";
import { useCan } from "~/lib/session";

const KEY = ["settings", "certs"];

/** The names by which Defenders and browsers reach the Console. */
export default function Names() {
  const client = useQueryClient();
  const mayWrite = useCan("settingsWrite");
  const names = useQuery({ queryKey: KEY, queryFn: () => got(api.GET("/api/v1/settings/certs")) });
  const replace = useMutation({
    mutationFn: (consoleSAN: string[]) => api.POST("/api/v1/settings/certs", { body: { consoleSAN } }),
    onSuccess: () => {
      notifications.show({ message: "The certificate was issued anew, and is in use." });
      return client.invalidateQueries({ queryKey: KEY });
    },
  });
  const present = names.data?.consoleSAN ?? [];
  return (
    <Page title="Names" description="The names and addresses in the Console's certificate. Defenders connect only to a name that stands here: add the host under which your tasks reach the Console.">
      <Problem error={names.error} retry={() => void names.refetch()} />
      {mayWrite && <Add present={present} busy={replace.isPending} onAdd={(name) => replace.mutate([...present, name])} />}
      <Problem title="The names are unchanged" error={replace.error} />
      {names.data && (
        <DataTable
          label="Names"
          rows={present.map((name) => ({ name }))}
          rowKey={(row) => row.name}
          columns={[
            { key: "name", title: "Name or address", render: (row) => <code>{row.name}</code>, sort: (row) => row.name },
            { key: "kind", title: "Kind", width: 160, render: (row) => (/^[0-9.]+$|:/.test(row.name) ? "IP address" : row.name.startsWith("*.") ? "Wildcard" : "Host name") },
            {
              key: "remove",
              title: "",
              width: 110,
              align: "end",
              render: (row) =>
                mayWrite && (
                  <Button size="compact-xs" variant="subtle" disabled={replace.isPending} onClick={() => replace.mutate(present.filter((name) => name !== row.name))} aria-label={`Remove ${row.name}`}>
                    Remove
                  </Button>
                ),
            },
          ]}
        />
      )}
      <Alert variant="default" title="What a change does">
        The Console issues its certificate anew and uses it at once, for browsers and Defenders; connections that are open stay open. Defenders that were told a name which is removed here cannot connect again by it.
      </Alert>
    </Page>
  );
}

function Add({ present, busy, onAdd }: { present: readonly string[]; busy: boolean; onAdd: (name: string) => void }) {
  const [name, setName] = useState("");
  const known = present.includes(name.trim());
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!known && name.trim() !== "") onAdd(name.trim());
    setName("");
  };
  return (
    <form onSubmit={submit}>
      <Stack gap={4}>
        <Group align="flex-end" gap="xs">
          <TextInput label="Name to add" placeholder="console.example.com" w={320} maw="100%" value={name} onChange={(event) => setName(event.currentTarget.value)} error={known ? "This name is there already" : undefined} />
          <Button type="submit" loading={busy} disabled={name.trim() === "" || known}>Add</Button>
        </Group>
      </Stack>
    </form>
  );
}
