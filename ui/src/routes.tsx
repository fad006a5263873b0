import type { ComponentType } from "react";

export type Section = "" | "Monitor" | "Defend" | "Manage";

/** One page: where it is, who may see it, and what loads it. */
export interface PageEntry {
  path: string;
  title: string;
  section: Section;
  /** The permission without which it is not shown; its name in the API. */
  permission: string;
  /** Whether those who are limited to collections see it, too: the API refuses them everywhere else. */
  scoped: boolean;
  /** Further words by which the command palette finds it. */
  words: string;
  load: () => Promise<{ default: ComponentType }>;
}

/** The pages of those who are limited to collections, by their modules. */
const SCOPED: ReadonlySet<string> = new Set(["Events", "Incidents", "Defenders", "Access", "ApiReference"]);

const MODULES = import.meta.glob<{ default: ComponentType }>("./pages/*.tsx");

function page(section: Section, path: string, title: string, module: string, permission: string, words = ""): PageEntry[] {
  const load = MODULES[`./pages/${module}.tsx`];
  return load ? [{ path, title, section, permission, scoped: SCOPED.has(module), words, load }] : [];
}

/**
 * Every page, in the order of the navigation. The navigation, the command palette and the browser tests come from this list.
 *
 * A page is the default export of `pages/<module>.tsx`, and is there as soon as that file is.
 */
export const PAGES: readonly PageEntry[] = [
  ...page("", "/", "Overview", "Overview", "overviewRead", "home dashboard start"),
  ...page("Monitor", "/monitor/events", "Events", "Events", "auditsRead", "audits live tail WAAS runtime log"),
  ...page("Monitor", "/monitor/incidents", "Incidents", "Incidents", "auditsRead", "attacks forensics timeline"),
  ...page("Monitor", "/monitor/observations", "Observations", "Observations", "profilesRead", "learning models profiles App ID"),
  ...page("Defend", "/defend/runtime", "Runtime rules", "Runtime", "policyRead", "policy processes network files"),
  ...page("Defend", "/defend/waas", "WAAS", "Waas", "policyRead", "firewall web API protection exceptions"),
  ...page("Defend", "/defend/custom-rules", "Custom rules", "CustomRules", "policyRead", "expressions"),
  ...page("Defend", "/defend/collections", "Collections", "Collections", "collectionsRead", "scopes"),
  ...page("Manage", "/manage/defenders", "Deployed Defenders", "Defenders", "defendersRead", "agents connected lost version"),
  ...page("Manage", "/manage/deploy", "Manual deploy", "Deploy", "defendersEmbed", "protect Fargate Dockerfile Cloud Foundry bundle"),
  ...page("Manage", "/manage/names", "Names", "Names", "settingsRead", "SAN certificate host"),
  ...page("Manage", "/manage/access", "Access", "Access", "overviewRead", "users groups roles tokens sessions sign-in OIDC"),
  ...page("Manage", "/manage/alerts", "Alerts", "Alerts", "alertsRead", "webhook Slack email syslog Splunk scrubbing"),
  ...page("Manage", "/manage/credentials", "Credentials & registries", "Credentials", "credentialsRead", "images ECR look-up"),
  ...page("Manage", "/manage/system", "System", "System", "systemRead", "certificates retention backup diagnostics"),
  ...page("Manage", "/manage/api", "API reference", "ApiReference", "overviewRead", "OpenAPI curl"),
];
