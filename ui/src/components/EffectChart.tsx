import { useElementSize } from "@mantine/hooks";
import { useMemo } from "react";

import { useZone } from "~/lib/preferences";
import { fullTime } from "~/lib/time";

/** How often each effect came about in a span of time. */
export interface Bar {
  time: string;
  effects: Record<string, number>;
}

const EFFECTS = ["alert", "prevent", "ban"] as const;
const COLOURS: Record<string, string> = { prevent: "var(--bz-chart-prevent)", alert: "var(--bz-chart-alert)", ban: "var(--bz-chart-ban)", other: "var(--bz-chart-other)" };
const GUTTER = 34;
const FOOT = 20;

/** Events over time, stacked by effect; screen readers get the same as a table. */
export function EffectChart({ label, bars, height = 180 }: { label: string; bars: readonly Bar[]; height?: number }) {
  const { ref, width } = useElementSize();
  const [zone] = useZone();
  const stacks = useMemo(() => bars.map((bar) => ({ time: new Date(bar.time), parts: stacked(bar.effects) })), [bars]);
  const most = nice(Math.max(1, ...stacks.map((stack) => stack.parts.reduce((sum, part) => sum + part.count, 0))));
  const inner = height - FOOT;
  const step = Math.max(0, width - GUTTER) / Math.max(1, stacks.length);
  const y = (count: number) => inner - (count / most) * (inner - 8);
  const every = Math.max(1, Math.ceil(stacks.length / Math.max(2, Math.floor(width / 110))));
  return (
    <figure style={{ margin: 0 }}>
      <div ref={ref}>
        <svg width="100%" height={height} aria-hidden style={{ display: "block" }}>
          {[0, most / 2, most].map((tick) => (
            <g key={tick}>
              <line x1={GUTTER} x2="100%" y1={y(tick)} y2={y(tick)} stroke="var(--bz-line)" />
              <text x={GUTTER - 8} y={y(tick) + 4} textAnchor="end" fontSize="11" fill="var(--mantine-color-dimmed)">{short(tick)}</text>
            </g>
          ))}
          {stacks.map((stack, index) => {
            const tops = stack.parts.map((_, upTo) => stack.parts.slice(0, upTo + 1).reduce((sum, part) => sum + part.count, 0));
            const total = tops.at(-1) ?? 0;
            return (
              <g key={stack.time.getTime()}>
                <title>{`${fullTime(stack.time, zone)}: ${total === 0 ? "nothing" : stack.parts.map((part) => `${part.effect} ${part.count}`).join(", ")}`}</title>
                <rect x={GUTTER + index * step} y={0} width={step} height={inner} fill="transparent" />
                {stack.parts.map((part, place) => (
                  <rect key={part.effect} x={GUTTER + index * step + Math.min(1, step / 8)} y={y(tops[place] ?? 0)} width={Math.max(1, step - Math.min(2, step / 4))} height={y((tops[place] ?? 0) - part.count) - y(tops[place] ?? 0)} fill={COLOURS[part.effect]} rx={step > 8 ? 1.5 : 0} />
                ))}
                {index % every === 0 && index * step < width - GUTTER - 50 && (
                  <text x={GUTTER + index * step} y={height - 5} fontSize="11" fill="var(--mantine-color-dimmed)">{tickLabel(stack.time, zone === "utc", stacks.length > 48)}</text>
                )}
              </g>
            );
          })}
        </svg>
      </div>
      <figcaption style={{ display: "flex", gap: 14, fontSize: 12, color: "var(--mantine-color-dimmed)", marginTop: 4 }}>
        {EFFECTS.map((effect) => (
          <span key={effect} style={{ display: "inline-flex", alignItems: "center", gap: 5 }}>
            <span style={{ width: 9, height: 9, borderRadius: 2, background: COLOURS[effect] }} aria-hidden />
            {effect}
          </span>
        ))}
      </figcaption>
      <table className="visually-hidden">
        <caption>{label}</caption>
        <thead>
          <tr><th scope="col">Time</th>{EFFECTS.map((effect) => <th scope="col" key={effect}>{effect}</th>)}</tr>
        </thead>
        <tbody>
          {bars.filter((bar) => Object.keys(bar.effects).length > 0).map((bar) => (
            <tr key={bar.time}><th scope="row">{fullTime(new Date(bar.time), zone)}</th>{EFFECTS.map((effect) => <td key={effect}>{bar.effects[effect] ?? 0}</td>)}</tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}

function stacked(effects: Record<string, number>): { effect: string; count: number }[] {
  const known = EFFECTS.map((effect) => ({ effect: effect as string, count: effects[effect] ?? 0 }));
  const other = Object.entries(effects).reduce((sum, [effect, count]) => sum + (effect in COLOURS ? 0 : count), 0);
  return [...known, { effect: "other", count: other }].filter((part) => part.count > 0);
}

/** The smallest round number that is not below a count, even from 2 on. */
function nice(count: number): number {
  const size = 10 ** Math.floor(Math.log10(count));
  return Math.max(2, [1, 2, 4, 6, 8, 10].map((factor) => factor * size).find((value) => value >= count) ?? count);
}

function short(count: number): string {
  return count >= 1000 ? `${Math.round(count / 100) / 10}k` : String(count);
}

function tickLabel(time: Date, utc: boolean, days: boolean): string {
  const zone = utc ? { timeZone: "UTC" } : {};
  return new Intl.DateTimeFormat("en-GB", days ? { weekday: "short", day: "numeric", ...zone } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...zone }).format(time);
}
