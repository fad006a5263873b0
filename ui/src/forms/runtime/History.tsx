import { Button, Drawer, Group, SegmentedControl, Stack, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { Confirm } from "~/components/Confirm";
import { Empty } from "~/components/Empty";
import { Problem } from "~/components/Problem";
import { RuleChanges } from "~/components/RuleChanges";
import { Time } from "~/components/Time";
import { api, got, raw, type Shapes } from "~/lib/api";
import { POLICY_KEY, POLICY_PATH } from "~/lib/runtime-policy";

import style from "./history.module.css";

const PAGE = 30;

/** Who changed the policy, when and why; what differs, and the way back. */
export function History({ mayWrite, revision, onClose, onRestored }: { mayWrite: boolean; revision: number; onClose: () => void; onRestored: () => void }) {
  return (
    <Drawer opened onClose={onClose} size="min(1000px, 100%)" title="History of the runtime policy" closeButtonProps={{ "aria-label": "Close" }}>
      <Body mayWrite={mayWrite} revision={revision} onRestored={onRestored} />
    </Drawer>
  );
}

function Body({ mayWrite, revision, onRestored }: { mayWrite: boolean; revision: number; onRestored: () => void }) {
  const [picked, setPicked] = useState<number | null>(null);
  const history = useInfiniteQuery({
    queryKey: [...POLICY_KEY, "revisions", revision],
    initialPageParam: undefined as number | undefined,
    queryFn: ({ pageParam }) => got(api.GET("/api/v1/policies/runtime/app-embedded/revisions", { params: { query: pageParam === undefined ? { limit: PAGE } : { limit: PAGE, below: pageParam } } })),
    getNextPageParam: (last) => (last.length === PAGE ? last.at(-1)?.revision : undefined),
  });
  const revisions = history.data?.pages.flat() ?? [];
  const chosen = revisions.find((item) => item.revision === picked) ?? revisions[0];
  if (history.isSuccess && revisions.length === 0) return <Empty title="Nothing was saved yet" order={3}>Every change of the policy is kept here, with who made it and why.</Empty>;
  return (
    <div className={style.columns}>
      <div>
        <Problem error={history.error} retry={() => void history.refetch()} />
        <ul className={style.list} aria-label="Revisions">
          {revisions.map((item) => (
            <li key={item.revision}>
              <button type="button" className={`${style.revision} ${item === chosen ? style.chosen : ""}`} aria-current={item === chosen || undefined} onClick={() => setPicked(item.revision)}>
                <span className={style.number}>{item.revision}{item.revision === revision && " · in force"}</span>
                <span className="break">{item.comment || <Text component="span" c="dimmed" inherit>no comment</Text>}</span>
                <Text component="span" size="xs" c="dimmed">{item.author} · <Time value={item.time} relative /></Text>
              </button>
            </li>
          ))}
        </ul>
        {history.hasNextPage && <Button mt="xs" variant="default" fullWidth loading={history.isFetchingNextPage} onClick={() => void history.fetchNextPage()}>Earlier ones</Button>}
      </div>
      {chosen && <Revision key={chosen.revision} chosen={chosen} previous={revisions[revisions.indexOf(chosen) + 1]?.revision ?? (history.hasNextPage ? null : 0)} inForce={revision} mayWrite={mayWrite} onRestored={onRestored} />}
    </div>
  );
}

interface Chosen {
  chosen: Shapes["RevisionAnswer"];
  /** The one before it; 0 for none, null while it is not known. */
  previous: number | null;
  inForce: number;
  mayWrite: boolean;
  onRestored: () => void;
}

function Revision({ chosen, previous, inForce, mayWrite, onRestored }: Chosen) {
  const client = useQueryClient();
  const [against, setAgainst] = useState<"previous" | "present">("previous");
  const [asking, setAsking] = useState(false);
  const [before, after] = against === "previous" ? [previous ?? Math.max(chosen.revision - 1, 0), chosen.revision] : [chosen.revision, inForce];
  const difference = useQuery({
    queryKey: [...POLICY_KEY, "difference", before, after],
    queryFn: () => got(api.GET("/api/v1/policies/runtime/app-embedded/revisions/difference", { params: { query: { before, after } } })),
    staleTime: Infinity,
  });
  const restore = async () => {
    await raw(`${POLICY_PATH}/revisions/${chosen.revision}/restore`, { method: "POST", headers: { "If-Match": `"${inForce}"` } });
    notifications.show({ message: `The policy is that of revision ${chosen.revision} again.` });
    await client.invalidateQueries({ queryKey: POLICY_KEY });
    onRestored();
  };
  return (
    <Stack gap="sm" style={{ minWidth: 0 }}>
      <Group justify="space-between" gap="xs">
        <SegmentedControl size="xs" aria-label="Compare" value={against} onChange={(value) => setAgainst(value as typeof against)} data={[{ value: "previous", label: "What it changed" }, { value: "present", label: "Since then" }]} />
        {mayWrite && chosen.revision !== inForce && <Button size="xs" variant="default" onClick={() => setAsking(true)}>Put it in force again</Button>}
      </Group>
      <Problem error={difference.error} retry={() => void difference.refetch()} />
      {difference.data && <RuleChanges changes={difference.data.changes} nothing={against === "previous" ? "No rule changed." : "The policy in force is the same."} />}
      <Confirm opened={asking} onClose={() => setAsking(false)} title={`Back to revision ${chosen.revision}`} action="Put it in force" onConfirm={restore}>
        The policy becomes what it was in revision {chosen.revision}, as a new revision: the history stays. Running workloads get it at once.
      </Confirm>
    </Stack>
  );
}
