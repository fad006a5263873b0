import { useCallback, useEffect, useRef, useState } from "react";

import type { SecurityEvent } from "./events";

/** So many events are kept in the browser; of what came while paused, the newest of these. */
export const MOST_LIVE = 1000;
/** Events are shown together this often: more would only be drawn, not read. */
const EVERY = 250;

declare global {
  interface Window {
    /** How many streams are open; the network is never idle while there are some. */
    bartizanStreams?: number;
  }
}

export interface Live {
  /** The newest first. */
  events: readonly SecurityEvent[];
  /** How many came while paused. */
  waiting: number;
  /** How many came a second, lately. */
  rate: number;
  state: "off" | "opening" | "open" | "broken";
}

const OFF: Live = { events: [], waiting: 0, rate: 0, state: "off" };

/**
 * Follow events as they are committed.
 *
 * What comes is put by as text, and parsed and shown a few times a second; the browser resumes by itself where a broken
 * connection ended.
 */
export function useLive(query: string, on: boolean, paused: boolean): Live {
  const [live, setLive] = useState<Live>(OFF);
  const held = useRef(paused);
  useEffect(() => {
    held.current = paused;
  }, [paused]);
  const opening = useCallback(() => setLive({ ...OFF, state: "opening" }), []);
  useEffect(() => {
    if (!on) return;
    const queue: string[] = [];
    const came: number[] = [];
    let waiting = 0;
    let state: Live["state"] = "opening";
    const source = new EventSource(`/api/v1/events/follow?${query}`);
    window.bartizanStreams = (window.bartizanStreams ?? 0) + 1;
    source.onopen = () => {
      state = "open";
    };
    source.onerror = () => {
      state = source.readyState === EventSource.CLOSED ? "broken" : "opening";
    };
    source.onmessage = (message: MessageEvent<string>) => {
      if (!message.data) return;
      queue.push(message.data);
      if (queue.length > 2 * MOST_LIVE) queue.splice(0, queue.length - MOST_LIVE);
      waiting += 1;
    };
    let before = 0;
    const timer = setInterval(() => {
      came.push(Math.max(0, waiting - before));
      if (came.length > 10) came.shift();
      const rate = Math.round(came.reduce((sum, count) => sum + count, 0) / ((came.length * EVERY) / 1000));
      if (held.current) {
        before = waiting;
        setLive((last) => (last.waiting === waiting && last.state === state && last.rate === rate ? last : { ...last, waiting, rate, state }));
        return;
      }
      const fresh = queue.splice(0).slice(-MOST_LIVE).map((text) => JSON.parse(text) as SecurityEvent).reverse();
      waiting = 0;
      before = 0;
      setLive((last) =>
        fresh.length === 0 && last.state === state && last.rate === rate && last.waiting === 0
          ? last
          : { events: fresh.length === 0 ? last.events : [...fresh, ...last.events].slice(0, MOST_LIVE), waiting: 0, rate, state },
      );
    }, EVERY);
    return () => {
      clearInterval(timer);
      source.close();
      window.bartizanStreams = Math.max(0, (window.bartizanStreams ?? 1) - 1);
      opening();
    };
  }, [query, on, opening]);
  return on ? live : OFF;
}
