import { Tag } from "~/ui/Tag";

import type { Shapes } from "~/lib/api";

export type Incident = Shapes["Incident"];
export type TimelineEntry = Shapes["TimelineEntry"];
export type ProcessNode = Shapes["ProcessNode"];
export type Snapshot = Shapes["ForensicsSnapshot"];

const NAMES: Record<string, string> = { reverseShell: "Reverse shell", cryptoMiner: "Crypto miner", backdoorSSHAccess: "SSH back door", backdoorAdministrativeAccount: "Back-door account", customRule: "Custom rule" };

/** What an incident is called: its category, and the custom rule that made it. */
export function titleOf(incident: { category: string; customRuleName?: string }): string {
  const words = NAMES[incident.category] ?? incident.category.replace(/([a-z])([A-Z])/g, (_, before: string, after: string) => `${before} ${after.toLowerCase()}`);
  const name = words.slice(0, 1).toUpperCase() + words.slice(1);
  return incident.customRuleName ? `${name} “${incident.customRuleName}”` : name;
}

/** Whether every attempt was stopped. */
export function Outcome({ incident }: { incident: Incident }) {
  const stopped = incident.preventedCount ?? 0;
  if (stopped >= incident.auditCount) return <Tag tone="good">Stopped</Tag>;
  return <Tag tone="bad">{stopped === 0 ? "Not stopped" : "Partly stopped"}</Tag>;
}

/** What people have done about it. */
export function Care({ incident }: { incident: Incident }) {
  if (incident.archived) return <Tag tone="mute">Archived</Tag>;
  if (!incident.acknowledged) return <Tag tone="info">Open</Tag>;
  const goesOn = incident.seenAt !== undefined && incident.lastTime > incident.seenAt;
  return <Tag tone={goesOn ? "warn" : "mute"}>{goesOn ? "Went on since" : "Acknowledged"}</Tag>;
}
