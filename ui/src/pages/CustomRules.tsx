import { Button, Text } from "@mantine/core";
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
import { CustomRuleEditor, newRule, TYPE_NAMES } from "~/forms/custom-rules/Editor";
import { api, got, raw, type Shapes } from "~/lib/api";
import { useCan } from "~/lib/session";

type CustomRule = Shapes["CustomRuleShape"];

/** The library of custom rules: conditions that rules of the runtime policy attach. */
export default function CustomRules() {
  const client = useQueryClient();
  const mayWrite = useCan("policyWrite");
  const { get } = useFilters();
  const [opened, setOpened] = useState<CustomRule | null>(null);
  const [removing, setRemoving] = useState<CustomRule | null>(null);
  const rules = useQuery({ queryKey: ["custom-rules"], queryFn: () => got(api.GET("/api/v1/custom-rules")) });
  const all = rules.data ?? [];
  const search = get("search").toLowerCase();
  const shown = all.filter((rule) => [rule.name, rule.script, rule.description, ...rule.attackTechniques].some((text) => text.toLowerCase().includes(search)));
  const add = mayWrite && <Button leftSection={<IconPlus size={16} />} onClick={() => setOpened(newRule())}>New custom rule</Button>;
  const remove = async () => {
    await raw(`/api/v1/custom-rules/${removing?._id}`, { method: "DELETE" });
    notifications.show({ message: "The custom rule is removed." });
    await client.invalidateQueries({ queryKey: ["custom-rules"] });
  };
  return (
    <Page title="Custom rules" description="Conditions of your own about program starts, writes and connections. A runtime rule attaches them, and its Defenders try them before everything else." actions={all.length > 0 && add}>
      <Problem error={rules.error} retry={() => void rules.refetch()} />
      {all.length > 5 && <FilterBar placeholder="Name, condition or technique" />}
      {rules.data && all.length === 0 && (
        <Empty title="The library is empty" actions={add}>
          A custom rule says what the lists of a runtime rule cannot: <code>proc.name = "sh" and proc.ancestors contains "nginx"</code> is a shell under a web server, whatever started it in between.
        </Empty>
      )}
      {all.length > 0 && (
        <DataTable
          label="Custom rules"
          rows={shown}
          rowKey={(row) => row._id ?? 0}
          chosen={opened?._id ?? null}
          onOpen={setOpened}
          columns={[
            { key: "name", title: "Name", width: "24%", sort: (row) => row.name, render: (row) => <Text component="span" size="sm" fw={600}>{row.name}</Text> },
            { key: "type", title: "About", width: 170, sort: (row) => row.type, render: (row) => TYPE_NAMES.get(row.type) ?? row.type },
            { key: "script", title: "Condition", render: (row) => <code title={row.script}>{row.script.split(/\s+/).join(" ")}</code> },
            { key: "owner", title: "Changed by", width: 130, sort: (row) => row.owner, render: (row) => row.owner || "–" },
            { key: "remove", title: "", width: 110, align: "end", render: (row) => mayWrite && <Button size="compact-xs" variant="subtle" aria-label={`Remove ${row.name}`} onClick={() => setRemoving(row)}>Remove</Button> },
          ]}
        />
      )}
      {opened && <CustomRuleEditor key={opened._id ?? "new"} rule={opened} rules={all} readOnly={!mayWrite} onClose={() => setOpened(null)} />}
      <Confirm opened={removing !== null} onClose={() => setRemoving(null)} title={`Remove ${removing?.name ?? ""}`} action="Remove" danger onConfirm={remove}>
        A custom rule that a runtime rule uses stays, and the refusal names who uses it. What it was is kept in its history.
      </Confirm>
    </Page>
  );
}
