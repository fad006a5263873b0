import { Alert, Button, Group, PasswordInput, Stack } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";

import { Confirm } from "~/components/Confirm";
import { DataTable } from "~/components/DataTable";
import { Empty } from "~/components/Empty";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { api, got, type Shapes } from "~/lib/api";
import { bytes } from "~/lib/bytes";

type Backup = Shapes["BackupAnswer"];

const KEY = ["backups"];

/** Backups in the data directory: make one, take it away, remove it. */
export function Backups() {
  const client = useQueryClient();
  const [removing, setRemoving] = useState<Backup | null>(null);
  const changed = () => client.invalidateQueries({ queryKey: KEY });
  const backups = useQuery({
    queryKey: KEY,
    queryFn: () => got(api.GET("/api/v1/backups")),
    refetchInterval: (query) => (query.state.data?.some((item) => item.state === "running") ? 500 : false),
  });
  const running = backups.data?.some((item) => item.state === "running") ?? false;
  return (
    <Stack gap="md">
      <Make busy={running} onMade={changed} />
      <Problem error={backups.error} retry={() => void backups.refetch()} />
      {backups.data?.length === 0 && (
        <Empty title="There is no backup here">A backup has everything in the database at one moment. It is made while the Console works, and lies in its data directory until you take it away.</Empty>
      )}
      {backups.data && backups.data.length > 0 && (
        <DataTable
          label="Backups"
          rows={backups.data}
          rowKey={(row) => row.name}
          columns={[
            { key: "created", title: "Made", width: 190, sort: (row) => row.created, render: (row) => <Time value={row.created} /> },
            { key: "state", title: "State", render: (row) => <State backup={row} /> },
            { key: "size", title: "Size", width: 110, align: "end", sort: (row) => row.size, render: (row) => (row.state === "done" ? bytes(row.size) : "–") },
            { key: "actions", title: "", width: 220, align: "end", render: (row) => row.state !== "running" && <Actions backup={row} onRemove={() => setRemoving(row)} /> },
          ]}
        />
      )}
      <Alert variant="default" title="Where to keep it">
        Take backups to another machine: one that lies beside the database goes with it. Restore with <code>bartizan restore</code>, into SQLite or PostgreSQL, while no Console runs there.
      </Alert>
      <Confirm
        opened={removing !== null}
        onClose={() => setRemoving(null)}
        title="Remove this backup?"
        action="Remove"
        danger
        onConfirm={async () => {
          await api.DELETE("/api/v1/backups/{name}", { params: { path: { name: removing?.name ?? "" } } });
          await changed();
        }}
      >
        <code className="break">{removing?.name}</code> is removed from the data directory; copies elsewhere stay.
      </Confirm>
    </Stack>
  );
}

function Make({ busy, onMade }: { busy: boolean; onMade: () => Promise<unknown> }) {
  const [passphrase, setPassphrase] = useState("");
  const make = useMutation({
    mutationFn: () => api.POST("/api/v1/backups", { body: { passphrase } }),
    onSuccess: () => {
      setPassphrase("");
      return onMade();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    make.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <Group align="flex-end" gap="xs">
          <PasswordInput
            label="Passphrase for the Console’s keys"
            description="With one, the restored Console is the same to Defenders. Without, the backup has no keys."
            placeholder="12 characters or more, or empty"
            autoComplete="new-password"
            w={420}
            maw="100%"
            value={passphrase}
            onChange={(event) => setPassphrase(event.currentTarget.value)}
          />
          <Button type="submit" loading={make.isPending || busy}>Back up now</Button>
        </Group>
        <Problem title="No backup was begun" error={make.error} />
      </Stack>
    </form>
  );
}

function State({ backup }: { backup: Backup }) {
  if (backup.state === "running") return <span role="status">{`Being made: ${backup.rows.toLocaleString("en")} rows so far`}</span>;
  if (backup.state === "failed") return <span>{`Failed: ${backup.error}`}</span>;
  return <span>{backup.keys ? "Done, with keys" : "Done"}</span>;
}

function Actions({ backup, onRemove }: { backup: Backup; onRemove: () => void }) {
  return (
    <Group gap={4} justify="flex-end" wrap="nowrap">
      {backup.state === "done" && <Button component="a" size="compact-xs" variant="subtle" href={`/api/v1/backups/${backup.name}`} download={backup.name} aria-label={`Download ${backup.name}`}>Download</Button>}
      <Button size="compact-xs" variant="subtle" onClick={onRemove} aria-label={`Remove ${backup.name}`}>Remove</Button>
    </Group>
  );
}
