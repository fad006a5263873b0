import { Button, Group, Stack, Switch, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { DataTable } from "~/components/DataTable";
import { useFilters } from "~/components/FilterBar";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { SESSIONS } from "~/lib/access";
import { api, got } from "~/lib/api";
import { useCan } from "~/lib/session";
import { Tag } from "~/ui/Tag";

/** Sessions that have not ended: one's own, or everybody's. */
export function SessionsPanel() {
  const client = useQueryClient();
  const { get, set } = useFilters();
  const maySeeAll = useCan("accessRead");
  const mayEndAll = useCan("accessWrite");
  const everybody = maySeeAll && get("all") !== "";
  const sessions = useQuery({ queryKey: [...SESSIONS, everybody], queryFn: () => got(api.GET("/api/v1/sessions", { params: { query: { all: everybody } } })) });
  const changed = () => client.invalidateQueries({ queryKey: SESSIONS });
  const end = useMutation({ mutationFn: (session: string) => api.DELETE("/api/v1/sessions/{session}", { params: { path: { session } } }), onSettled: changed });
  const endOthers = useMutation({ mutationFn: () => api.DELETE("/api/v1/sessions"), onSettled: changed });
  const all = sessions.data ?? [];
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        {maySeeAll ? <Switch label="Everybody's" checked={everybody} onChange={(event) => set({ all: event.currentTarget.checked ? "1" : null })} /> : <span />}
        <Button variant="default" loading={endOthers.isPending} onClick={() => endOthers.mutate()}>End my other sessions</Button>
      </Group>
      <Problem error={sessions.error ?? end.error ?? endOthers.error} retry={() => void sessions.refetch()} />
      {sessions.data && (
        <DataTable
          label="Sessions"
          rows={all}
          rowKey={(session) => session._id}
          columns={[
            { key: "user", title: "User", width: 200, sort: (session) => session.username, render: (session) => <Group gap={8}><Text component="span" size="sm" fw={550}>{session.username}</Text>{session.current && <Tag tone="good">this one</Tag>}</Group> },
            { key: "kind", title: "Kind", width: 90, render: (session) => (session.kind === "cookie" ? "browser" : "script") },
            { key: "from", title: "From", width: 150, render: (session) => <span className="mono">{session.sourceIP}</span> },
            { key: "agent", title: "Program", render: (session) => <Text component="span" size="sm" truncate title={session.userAgent}>{session.userAgent || "–"}</Text> },
            { key: "used", title: "Last used", width: 120, sort: (session) => session.lastUsed, render: (session) => <Time value={session.lastUsed} relative /> },
            { key: "ends", title: "Ends", width: 120, sort: (session) => session.expires, render: (session) => <Time value={session.expires} relative /> },
            {
              key: "end",
              title: "",
              width: 80,
              align: "end",
              render: (session) =>
                !session.current && (!everybody || mayEndAll) && (
                  <Button size="compact-xs" variant="subtle" disabled={end.isPending} onClick={() => end.mutate(session._id)} aria-label={`End the session of ${session.username} from ${session.sourceIP}`}>End</Button>
                ),
            },
          ]}
        />
      )}
    </Stack>
  );
}
