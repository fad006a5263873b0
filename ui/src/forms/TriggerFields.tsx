import { Collapse, MultiSelect, Select, SimpleGrid, Stack, Switch, TagsInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import { KINDS, type Kind, type Trigger } from "~/lib/alerts";
import { api, got } from "~/lib/api";
import { useCan } from "~/lib/session";

type Policy = Record<string, Trigger>;

/** Which events are told, by kind. */
export function TriggerFields({ policy, mayWrite, onChange }: { policy: Policy; mayWrite: boolean; onChange: (policy: Policy) => void }) {
  const mayRead = useCan("collectionsRead");
  const collections = useQuery({ queryKey: ["collections"], queryFn: () => got(api.GET("/api/v1/collections")), enabled: mayRead });
  const names = (collections.data ?? []).map((item) => item.name);
  const set = (kind: Kind, part: Partial<Trigger>) => onChange({ ...policy, [kind]: { ...policy[kind], ...part } });
  return (
    <Stack gap="xs">
      {KINDS.map(({ kind, title, about, effects }) => {
        const trigger = policy[kind] ?? {};
        const on = policy[kind] !== undefined && trigger.enabled !== false;
        return (
          <section key={kind} className="card" aria-label={title}>
            <Switch label={title} description={about} disabled={!mayWrite} checked={on} onChange={(event) => set(kind, { enabled: event.currentTarget.checked })} />
            <Collapse expanded={on}>
              <SimpleGrid cols={{ base: 1, xs: 2 }} verticalSpacing="xs" mt="xs">
                <TagsInput label="Rules" description="Empty: any rule" readOnly={!mayWrite} acceptValueOnBlur value={trigger.rules ?? []} onChange={(rules) => set(kind, { rules, allRules: rules.length === 0 })} />
                <TagsInput label="App IDs" description="* is any run of characters; empty: all" readOnly={!mayWrite} acceptValueOnBlur value={trigger.apps ?? []} onChange={(apps) => set(kind, { apps })} />
                {effects.length > 0 && <MultiSelect label="Effects" description="Empty: any effect" readOnly={!mayWrite} data={[...effects]} value={trigger.effects ?? []} onChange={(found) => set(kind, { effects: found })} />}
                <Select label="At least" description="The least severity that is told" allowDeselect={false} readOnly={!mayWrite} data={["low", "medium", "high"]} value={trigger.severity ?? "low"} onChange={(found) => set(kind, { severity: (found ?? "low") as "low" | "medium" | "high" })} />
                {mayRead && <MultiSelect label="Collections" description="Empty: all workloads" searchable readOnly={!mayWrite} data={names} value={trigger.collections ?? []} onChange={(found) => set(kind, { collections: found })} />}
              </SimpleGrid>
            </Collapse>
          </section>
        );
      })}
    </Stack>
  );
}
