import { Tag, type Tone } from "~/ui/Tag";

const TONES: Record<string, Tone> = { prevent: "bad", block: "bad", ban: "critical", alert: "warn", allow: "good", disable: "mute", inherit: "mute" };

/** What a rule does, or a Defender did: disable, allow, alert, prevent, ban. */
export function Effect({ effect }: { effect: string }) {
  return <Tag tone={TONES[effect] ?? "mute"}>{effect}</Tag>;
}
