import { Tabs } from "@mantine/core";

import { useFilters } from "~/components/FilterBar";
import { Page } from "~/components/Page";
import { ChangesPanel } from "~/forms/access/ChangesPanel";
import { GroupsPanel } from "~/forms/access/GroupsPanel";
import { RolesPanel } from "~/forms/access/RolesPanel";
import { SessionsPanel } from "~/forms/access/SessionsPanel";
import { SignInPanel } from "~/forms/access/SignInPanel";
import { TokensPanel } from "~/forms/access/TokensPanel";
import { UsersPanel } from "~/forms/access/UsersPanel";
import { can, useSignedIn } from "~/lib/session";

const TABS = [
  { value: "users", title: "Users", permission: "accessRead", panel: UsersPanel },
  { value: "groups", title: "Groups", permission: "accessRead", panel: GroupsPanel },
  { value: "roles", title: "Roles", permission: "accessRead", panel: RolesPanel },
  { value: "tokens", title: "API tokens", permission: "", panel: TokensPanel },
  { value: "sessions", title: "Sessions", permission: "", panel: SessionsPanel },
  { value: "sign-in", title: "Sign-in", permission: "accessRead", panel: SignInPanel },
  { value: "changes", title: "Changes", permission: "changesRead", panel: ChangesPanel },
] as const;

/** Who may do what, and who did: users, groups, roles, API tokens, sessions and the log of changes. */
export default function Access() {
  const { get, set, clear } = useFilters();
  const session = useSignedIn().data?.session;
  const shown = TABS.filter((tab) => tab.permission === "" || (session && can(session, tab.permission)));
  const tab = shown.find((item) => item.value === get("tab")) ?? shown[0];
  const open = (value: string | null) => {
    clear();
    set({ tab: value });
  };
  return (
    <Page title="Access" description="Roles decide who may do what; what a role does not give is denied. A change holds at once, and every change is in the log.">
      <Tabs value={tab?.value ?? null} onChange={open} keepMounted={false}>
        <Tabs.List mb="md" aria-label="Access">
          {shown.map((item) => (
            <Tabs.Tab key={item.value} value={item.value}>{item.title}</Tabs.Tab>
          ))}
        </Tabs.List>
        {shown.map(({ value, panel: Panel }) => (
          <Tabs.Panel key={value} value={value}>
            <Panel />
          </Tabs.Panel>
        ))}
      </Tabs>
    </Page>
  );
}
