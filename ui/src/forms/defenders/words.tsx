import { Tag, type Tone } from "~/ui/Tag";

import type { Shapes } from "~/lib/api";

export type Defender = Shapes["Defender"];

export const STATES: Record<string, string> = { connected: "Connected", awaited: "Awaited", lost: "Lost", ended: "Ended", revoked: "Shut out" };
export const SYNCS: Record<string, string> = { inSync: "In sync", pending: "Change under way", failed: "Refused", unknown: "Unknown" };
export const GAPS: Record<string, string> = {
  container: "Container without Defender",
  notEnforcing: "Judges nothing",
  looksOnly: "Looks only",
  noRule: "No rule applies",
  port: "Port beside the firewall",
  auditsDropped: "Audits dropped",
};
export const TYPES: Record<string, string> = { fargate: "Fargate task", appEmbedded: "App-embedded" };

const STATE_TONES: Record<string, Tone> = { connected: "good", awaited: "warn", lost: "bad", ended: "mute", revoked: "critical" };
const SYNC_TONES: Record<string, Tone> = { inSync: "good", pending: "warn", failed: "bad", unknown: "mute" };

/** Whether a Defender is there. */
export function State({ state }: { state: string }) {
  return <Tag tone={STATE_TONES[state] ?? "mute"}>{STATES[state] ?? state}</Tag>;
}

/** Whether what should be in force is. */
export function Sync({ sync }: { sync: string }) {
  return <Tag tone={SYNC_TONES[sync] ?? "mute"}>{SYNCS[sync] ?? sync}</Tag>;
}
