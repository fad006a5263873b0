import { Text } from "@mantine/core";
import { useRef, useState, type PointerEvent } from "react";

import type { Shapes } from "~/lib/api";
import { useZone } from "~/lib/preferences";
import { shortTime } from "~/lib/time";

import style from "./events.module.css";

const EFFECTS = ["alert", "allow", "prevent", "ban"] as const;
const COLOURS: Record<string, string> = { prevent: "var(--bz-chart-prevent)", alert: "var(--bz-chart-alert)", ban: "var(--bz-chart-ban)", allow: "var(--bz-chart-other)" };
const HEIGHT = 84;

interface Chart {
  slices: readonly Shapes["EventTimeslice"][];
  /** Before this time nothing was counted, for there was too much. */
  searchedTo?: string;
  /** Called with a span that was drawn over (unix milliseconds). */
  onSpan: (from: number, to: number) => void;
}

/** How many events there were over time, by effect; drawing over the bars chooses a span. */
export function EventChart({ slices, searchedTo, onSpan }: Chart) {
  const frame = useRef<HTMLDivElement>(null);
  const [drawn, setDrawn] = useState<[number, number] | null>(null);
  const [zone] = useZone();
  const sums = slices.map((slice) => Object.values(slice.counts).reduce((sum, count) => sum + count, 0));
  const highest = Math.max(1, ...sums);
  const total = sums.reduce((sum, count) => sum + count, 0);
  const first = slices[0];
  const last = slices.at(-1);
  if (!first || !last) return null;
  const at = (event: PointerEvent) => {
    const box = frame.current?.getBoundingClientRect();
    if (!box) return 0;
    return Math.max(0, Math.min(slices.length - 1, Math.floor(((event.clientX - box.left) / box.width) * slices.length)));
  };
  const show = (time: string) => shortTime(new Date(time), zone, new Date());
  const ended = () => {
    if (drawn) {
      const [one, other] = [Math.min(...drawn), Math.max(...drawn)];
      const [from, to] = [slices[one], slices[other]];
      if (from && to) onSpan(Date.parse(from.start), Date.parse(to.end) - 1);
    }
    setDrawn(null);
  };
  const marked = (index: number) => drawn !== null && index >= Math.min(...drawn) && index <= Math.max(...drawn);
  return (
    <figure className={style.chart}>
      <div
        ref={frame}
        className={style.bars}
        role="img"
        aria-label={`${total} events from ${show(first.start)} to ${show(last.end)}, at most ${highest} in one of ${slices.length} parts`}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          setDrawn([at(event), at(event)]);
        }}
        onPointerMove={(event) => drawn && setDrawn([drawn[0], at(event)])}
        onPointerUp={ended}
        onPointerCancel={() => setDrawn(null)}
      >
        {slices.map((slice, index) => (
          <div key={slice.start} className={`${style.bar} ${marked(index) ? style.marked : ""}`} title={`${show(slice.start)}: ${said(slice.counts)}`}>
            {EFFECTS.map((effect) => {
              const count = slice.counts[effect] ?? 0;
              return count > 0 && <span key={effect} style={{ height: Math.max(2, (count / highest) * HEIGHT), background: COLOURS[effect] }} />;
            })}
          </div>
        ))}
      </div>
      <figcaption className={style.caption}>
        <span>{show(first.start)}</span>
        <span className={style.legend}>
          {EFFECTS.filter((effect) => slices.some((slice) => slice.counts[effect])).map((effect) => (
            <span key={effect}>
              <i style={{ background: COLOURS[effect] }} />
              {effect} {slices.reduce((sum, slice) => sum + (slice.counts[effect] ?? 0), 0).toLocaleString("en")}
            </span>
          ))}
          {searchedTo && <Text component="span" size="xs" c="dimmed">counted since {show(searchedTo)}</Text>}
        </span>
        <span>{show(last.end)}</span>
      </figcaption>
    </figure>
  );
}

function said(counts: Record<string, number>): string {
  const parts = EFFECTS.filter((effect) => counts[effect]).map((effect) => `${counts[effect]} ${effect}`);
  return parts.join(", ") || "none";
}
