import { Button, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconPlus } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { Confirm } from "~/components/Confirm";
import { DataTable } from "~/components/DataTable";
import { Empty } from "~/components/Empty";
import { useFilters } from "~/components/FilterBar";
import { Page } from "~/components/Page";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { AlertEditor } from "~/forms/AlertEditor";
import { targetTitle, told, type Profile } from "~/lib/alerts";
import { api, got } from "~/lib/api";
import { useCan } from "~/lib/session";
import { Tag, type Tone } from "~/ui/Tag";

const KEY = ["alert-profiles"];
const TONES: Record<string, Tone> = { working: "good", idle: "info", failing: "bad", unusable: "bad", disabled: "mute" };

/** Who is told of what: the profiles with how each does, and an editor with preview and test. */
export default function Alerts() {
  const client = useQueryClient();
  const mayWrite = useCan("alertsWrite");
  const { get, set } = useFilters();
  const [removing, setRemoving] = useState<Profile | null>(null);
  const profiles = useQuery({ queryKey: KEY, queryFn: () => got(api.GET("/api/v1/alert-profiles")), refetchInterval: 5000 });
  const all = profiles.data ?? [];
  const opened = get("open");
  const chosen = all.find((item) => item.name === opened) ?? null;
  const making = opened === "" && get("new") !== "";
  const close = () => set({ open: null, new: null });
  const changed = () => client.invalidateQueries({ queryKey: KEY });
  return (
    <Page
      title="Alerts"
      description="An alert profile tells somebody of events: what is told, to whom, and how often. Nothing waits for a receiver that is slow or down; what it missed is sent when it is back."
      actions={mayWrite && <Button leftSection={<IconPlus size={16} />} onClick={() => set({ new: "1", open: null })}>New profile</Button>}
    >
      <Problem error={profiles.error} retry={() => void profiles.refetch()} />
      {all.length > 0 && (
        <DataTable
          label="Alert profiles"
          rows={all}
          rowKey={(row) => row.name}
          chosen={opened || null}
          onOpen={(row) => set({ open: row.name, new: null })}
          columns={[
            { key: "name", title: "Name", width: "20%", sort: (row) => row.name, render: (row) => <Text component="span" size="sm" fw={550} truncate display="block">{row.name}</Text> },
            { key: "status", title: "State", width: 110, sort: (row) => row.state.status, render: (row) => <Tag tone={TONES[row.state.status] ?? "mute"}>{row.state.status}</Tag> },
            { key: "target", title: "Target", width: 160, sort: (row) => targetTitle(row.target), render: (row) => targetTitle(row.target) },
            { key: "told", title: "Tells of", render: (row) => <Told profile={row} /> },
            { key: "sent", title: "Sent", width: 90, align: "end", sort: (row) => row.state.sent, render: (row) => row.state.sent },
            { key: "waiting", title: "Waiting", width: 90, align: "end", sort: (row) => row.state.waiting, render: (row) => row.state.waiting },
            { key: "last", title: "Last sent", width: 130, sort: (row) => row.state.lastSent, render: (row) => <Time value={row.state.lastSent} relative /> },
          ]}
        />
      )}
      {profiles.data && all.length === 0 && (
        <Empty
          title="Nobody is told of anything yet"
          order={2}
          actions={mayWrite && <Button variant="default" onClick={() => set({ new: "1", open: null })}>Make the first profile</Button>}
        >
          Send what matters to where your people look: chat, mail, a pager, a ticket, or the collector of all logs. A good first
          profile tells of incidents and of everything that was prevented, one alert in a minute.
        </Empty>
      )}
      <AlertEditor
        key={chosen?.name ?? String(making)}
        opened={making || chosen !== null}
        profile={chosen}
        mayWrite={mayWrite}
        taken={all.map((item) => item.name)}
        onClose={close}
        onRemove={() => setRemoving(chosen)}
        onSaved={async (name) => {
          await changed();
          notifications.show({ message: `Alert profile “${name}” is in use.` });
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
          await api.DELETE("/api/v1/alert-profiles/{profile}", { params: { path: { profile: removing?.name ?? "" } } });
          close();
          await changed();
        }}
      >
        {(removing?.state.waiting ?? 0) > 0 ? `${removing?.state.waiting ?? 0} events that wait to be sent are dropped.` : "Nothing waits to be sent by it."}
      </Confirm>
    </Page>
  );
}

function Told({ profile }: { profile: Profile }) {
  if (profile.state.status === "failing" || profile.state.status === "unusable") {
    return <Text component="span" size="sm" className="break" c="var(--mantine-color-error)" title={profile.state.lastError} truncate display="block">{profile.state.lastError}</Text>;
  }
  return <Text component="span" size="sm" truncate display="block">{told(profile.policy)}</Text>;
}
