import { Anchor, Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";

import { DataTable } from "~/components/DataTable";
import { Empty } from "~/components/Empty";
import { FilterBar, useFilters } from "~/components/FilterBar";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { api, got } from "~/lib/api";
import { Tag } from "~/ui/Tag";

/** What requests have shown applications to have, and what of it no API description knows. */
export function Discovery() {
  const { get } = useFilters();
  const path = get("path");
  const found = useQuery({ queryKey: ["waas", "discovery", path], queryFn: () => got(api.GET("/api/v1/waas/discovery", { params: { query: { path, limit: 250 } } })) });
  const rows = found.data ?? [];
  return (
    <Stack gap="md">
      <Problem error={found.error} />
      {(rows.length > 0 || path !== "") && <FilterBar search="path" placeholder="Part of a path" />}
      {found.data && rows.length === 0 && (
        <Empty title={path === "" ? "Nothing was discovered yet" : "No path has this in it"}>
          {path === "" && <>Requests that pass the firewall show which paths and methods an application has. Protect a web port first: <Anchor component={Link} to="/manage/deploy" size="sm">Manual deploy</Anchor>.</>}
        </Empty>
      )}
      {rows.length > 0 && (
        <DataTable
          label="Discovered operations"
          rows={rows}
          rowKey={(row) => `${row.appID} ${row.application} ${row.method} ${row.path}`}
          columns={[
            { key: "operation", title: "Operation", sort: (row) => row.path, render: (row) => <span className="mono break"><strong>{row.method}</strong> {row.path}</span> },
            { key: "application", title: "Application", width: "20%", sort: (row) => row.application, render: (row) => `${row.application} (${row.appID})` },
            { key: "risks", title: "Findings", width: "24%", render: (row) => <>{row.shadow === true && <Tag tone="warn">not described</Tag>} {row.risks.map((risk) => <Tag key={risk} tone="bad">{risk}</Tag>)}</> },
            { key: "hits", title: "Requests", width: 100, align: "end", sort: (row) => row.hits, render: (row) => row.hits },
            { key: "seen", title: "Last seen", width: 140, sort: (row) => row.lastSeen, render: (row) => <Time value={row.lastSeen} relative /> },
          ]}
        />
      )}
    </Stack>
  );
}
