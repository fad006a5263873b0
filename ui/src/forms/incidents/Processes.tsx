import { Loader, Stack, Text, UnstyledButton } from "@mantine/core";
import { IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { Effect } from "~/components/Effect";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { api, got } from "~/lib/api";
import { Tag } from "~/ui/Tag";

import style from "./processes.module.css";
import type { ProcessNode } from "./words";

interface Branch {
  node: ProcessNode;
  index: number;
  below: Branch[];
  /** Whether it, or something below, was objected to. */
  marked: boolean;
}

/** The nodes of an answer as a tree. */
export function grown(nodes: readonly ProcessNode[]): Branch[] {
  const branches = nodes.map((node, index): Branch => ({ node, index, below: [], marked: node.audits.length > 0 || node.effect !== "" }));
  const roots: Branch[] = [];
  for (const branch of branches) {
    const above = branch.node.parent === null ? undefined : branches[branch.node.parent];
    (above?.below ?? roots).push(branch);
  }
  // Parents come first: from the end each mark reaches its parent before that is looked at.
  for (const branch of [...branches].reverse()) {
    const above = branch.node.parent === null ? undefined : branches[branch.node.parent];
    if (above && branch.marked) above.marked = true;
  }
  return roots;
}

/** Which program started which around an incident. */
export function Processes({ number }: { number: string }) {
  const tree = useQuery({
    queryKey: ["incidents", "processes", number],
    queryFn: () => got(api.GET("/api/v1/audits/incidents/{number}/processes", { params: { path: { number } } })),
  });
  const roots = useMemo(() => grown(tree.data?.nodes ?? []), [tree.data]);
  if (tree.isPending) return <Loader size="sm" aria-label="Loading" />;
  return (
    <Stack gap="sm">
      <Problem error={tree.error} retry={() => void tree.refetch()} />
      {tree.data && !tree.data.snapshot && <Text size="sm" c="dimmed">Without a record this is what the audits themselves tell: each names the programs that led to it.</Text>}
      {roots.length > 0 && (
        <div className={style.tree}>
          <ul aria-label="Processes">{roots.map((branch) => <Twig key={branch.index} branch={branch} />)}</ul>
        </div>
      )}
      {tree.data && roots.length === 0 && <Text size="sm" c="dimmed">No process is known.</Text>}
      {tree.data && tree.data.leftOut > 0 && <Text size="xs" c="dimmed">{`${tree.data.leftOut.toLocaleString("en")} further starts are not shown; the record's download has them all.`}</Text>}
    </Stack>
  );
}

function Twig({ branch }: { branch: Branch }) {
  const { node, below } = branch;
  const [opened, setOpened] = useState(branch.marked || node.parent === null);
  const name = node.path.split("/").at(-1) || "unknown";
  const inside = below.length + node.actions.length;
  return (
    <li>
      <div className={`${style.node} ${node.audits.length > 0 ? style.audited : ""}`}>
        {inside > 0 ? (
          <UnstyledButton className={style.toggle} aria-expanded={opened} aria-label={`${opened ? "Fold" : "Unfold"} ${name}`} onClick={() => setOpened(!opened)}>
            {opened ? <IconChevronDown size={14} /> : <IconChevronRight size={14} />}
          </UnstyledButton>
        ) : (
          <span className={style.toggle} />
        )}
        <span className={style.what}>
          <b title={node.path}>{name}</b>
          {node.command !== "" && <code className="break">{node.command}</code>}
          <span className={style.meta}>
            {node.pid > 0 && `pid ${node.pid}`}
            {node.user !== null && ` · user ${node.user}`}
            {node.time ? <> · <Time value={node.time} /></> : " · ran before"}
            {!opened && inside > 0 && ` · ${inside} inside`}
          </span>
        </span>
        {node.effect !== "" && <Effect effect={node.effect} />}
        {node.audits.length > 0 && <Tag tone="bad">{node.audits.length === 1 ? "Audit" : `${node.audits.length} audits`}</Tag>}
      </div>
      {opened && inside > 0 && (
        <ul>
          {node.actions.map((action, index) => (
            <li key={`action ${index}`}>
              <div className={style.node}>
                <span className={style.toggle} />
                <span className={style.what}>
                  <span className="break">{action.text}</span>
                  <span className={style.meta}><Time value={action.time} /></span>
                </span>
                {action.effect && <Effect effect={action.effect} />}
              </div>
            </li>
          ))}
          {node.actionCount > node.actions.length && (
            <li>
              <div className={style.node}>
                <span className={style.toggle} />
                <span className={style.meta}>{`and ${(node.actionCount - node.actions.length).toLocaleString("en")} more`}</span>
              </div>
            </li>
          )}
          {below.map((next) => <Twig key={next.index} branch={next} />)}
        </ul>
      )}
    </li>
  );
}
