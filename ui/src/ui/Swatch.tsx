import { ColorSwatch } from "@mantine/core";

/** A colour that somebody chose, or an empty ring. */
export function Swatch({ color, size = 12 }: { color: string; size?: number }) {
  if (/^#[0-9a-fA-F]{6}$/.test(color)) return <ColorSwatch color={color} size={size} withShadow={false} aria-hidden />;
  return <span aria-hidden style={{ flex: "none", width: size, height: size, borderRadius: "50%", border: "1.5px solid var(--bz-line)" }} />;
}
