import type { Shapes } from "./api";

/** Something that somebody should look at: how bad, what, and the page where it is seen to. */
export interface Attention {
  tone: "bad" | "warn" | "info";
  text: string;
  to: string;
}

const CA_DAYS = 90;

const GAPS: Record<string, [one: string, many: string]> = {
  container: ["container has no Defender that reports", "containers have no Defender that reports"],
  notEnforcing: ["Defender cannot enforce its policy", "Defenders cannot enforce their policy"],
  looksOnly: ["Defender only looks", "Defenders only look"],
  noRule: ["Defender has a workload that no rule is for", "Defenders have workloads that no rule is for"],
  port: ["Defender has a port open beside the firewall", "Defenders have ports open beside the firewall"],
  auditsDropped: ["Defender dropped audits", "Defenders dropped audits"],
};

/** What needs attention, the worst first. */
export function attention(overview: Shapes["OverviewAnswer"]): Attention[] {
  const { defenders, incidents, console: state } = overview;
  const open = Object.values(incidents).reduce((sum, count) => sum + count, 0);
  const found: (Attention | null)[] = [
    said("bad", open, "incident is open", "incidents are open", "/monitor/incidents"),
    said("bad", defenders.bySync["failed"], "Defender refused its policy", "Defenders refused their policy", "/manage/defenders?sync=failed"),
    said("bad", defenders.byState["lost"], "Defender went away without a goodbye", "Defenders went away without a goodbye", "/manage/defenders?state=lost"),
    ...Object.entries(defenders.gaps).map(([kind, count]) => said(kind === "notEnforcing" ? "bad" : "warn", count, ...(GAPS[kind] ?? ["Defender has a gap", "Defenders have a gap"]), `/manage/defenders?gap=${kind}`)),
    said("warn", defenders.bySync["pending"], "Defender has not applied its policy yet", "Defenders have not applied their policy yet", "/manage/defenders?sync=pending"),
    said("warn", defenders.certificatesEndSoon, "Defender did not renew its certificate", "Defenders did not renew their certificate", "/manage/defenders?certificateEnds=soon"),
    state.caDays < CA_DAYS ? { tone: state.caDays < CA_DAYS / 3 ? "bad" : "warn", text: `The certificate authority ends in ${state.caDays} days`, to: "/manage/system" } : null,
    said("info", defenders.outdated, "Defender has another version than the Console", "Defenders have another version than the Console", "/manage/defenders?latest=false"),
    said("info", overview.learning.byStage["discover"], "learned rule is still discovering", "learned rules are still discovering", "/monitor/observations"),
  ];
  const order = { bad: 0, warn: 1, info: 2 };
  return found.filter((item) => item !== null).sort((one, other) => order[one.tone] - order[other.tone]);
}

function said(tone: Attention["tone"], count: number | undefined, one: string, many: string, to: string): Attention | null {
  return count ? { tone, text: `${count} ${count === 1 ? one : many}`, to } : null;
}
