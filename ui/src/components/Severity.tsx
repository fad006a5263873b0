import { Tag, type Tone } from "~/ui/Tag";

const TONES: Record<string, Tone> = { critical: "critical", high: "bad", medium: "warn", low: "info" };

/** How grave something is: low, medium, high, critical. */
export function Severity({ severity }: { severity: string }) {
  return <Tag tone={TONES[severity.toLowerCase()] ?? "mute"}>{severity}</Tag>;
}
