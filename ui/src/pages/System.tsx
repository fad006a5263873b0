import { Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import { useFilters } from "~/components/FilterBar";
import { Page } from "~/components/Page";
import { Problem } from "~/components/Problem";
import { AboutConsole } from "~/forms/system/AboutConsole";
import { Backups } from "~/forms/system/Backups";
import { Certificates } from "~/forms/system/Certificates";
import { Diagnostics } from "~/forms/system/Diagnostics";
import { RetentionForm } from "~/forms/system/RetentionForm";
import { api, got } from "~/lib/api";
import { useCan } from "~/lib/session";

const TABS = ["certificates", "retention", "backup", "diagnostics", "about"];

/** The Console itself: its certificates, what it keeps, its backups, how it is, and what it is. */
export default function System() {
  const { get, set } = useFilters();
  const mayWrite = useCan("systemWrite");
  const system = useQuery({ queryKey: ["system"], queryFn: () => got(api.GET("/api/v1/system")), refetchInterval: 15_000 });
  const wanted = get("tab");
  return (
    <Page title="System" description="The Console itself: what proves its name, for how long it keeps what Defenders report, its backups, and how it is.">
      <Problem error={system.error} retry={() => void system.refetch()} />
      <Tabs value={TABS.includes(wanted) ? wanted : "certificates"} onChange={(tab) => set({ tab })} keepMounted={false}>
        <Tabs.List mb="md">
          <Tabs.Tab value="certificates">Certificates</Tabs.Tab>
          <Tabs.Tab value="retention">Retention</Tabs.Tab>
          {mayWrite && <Tabs.Tab value="backup">Backup</Tabs.Tab>}
          <Tabs.Tab value="diagnostics">Diagnostics</Tabs.Tab>
          <Tabs.Tab value="about">About</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="certificates">{system.data && <Certificates system={system.data} />}</Tabs.Panel>
        <Tabs.Panel value="retention"><RetentionForm mayWrite={mayWrite} /></Tabs.Panel>
        {mayWrite && <Tabs.Panel value="backup"><Backups /></Tabs.Panel>}
        <Tabs.Panel value="diagnostics">{system.data && <Diagnostics system={system.data} />}</Tabs.Panel>
        <Tabs.Panel value="about">{system.data && <AboutConsole system={system.data} />}</Tabs.Panel>
      </Tabs>
    </Page>
  );
}
