import { Tag, type Tone } from "~/ui/Tag";

/** Kinds of observations, in the order in which they are shown. */
export const KINDS: Record<string, string> = { process: "Programs", name: "Names", address: "Connections", listen: "Ports", file: "Files" };

/** What a profile is of: an image with its container, or an application with the Defender in its image. */
export function nameOf(profile: { appID: string; image: string; container: string }): string {
  return profile.image ? [profile.image, profile.container].filter(Boolean).join(" · ") : profile.appID;
}

const STAGES: Record<string, [Tone, string]> = { discover: ["info", "Discover"], alert: ["warn", "Alert"], prevent: ["good", "Prevent"] };

/** How far the rule of a profile has come; without one it is only learnt. */
export function Stage({ stage }: { stage: string | undefined }) {
  const [tone, title] = STAGES[stage ?? ""] ?? ["mute", "Learning, no rule yet"];
  return <Tag tone={tone}>{title}</Tag>;
}
