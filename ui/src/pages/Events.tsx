import { Button, Collapse, Group, Loader, Menu, Select, Text, TextInput } from "@mantine/core";
import { useDebouncedCallback, useMediaQuery } from "@mantine/hooks";
import { IconBroadcast, IconDownload, IconFilter, IconPlayerPause, IconPlayerPlay, IconSearch, IconX } from "@tabler/icons-react";
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";

import { DataTable, type Column } from "~/components/DataTable";
import { Effect } from "~/components/Effect";
import { Empty } from "~/components/Empty";
import { EventChart } from "~/components/EventChart";
import style from "~/components/events.module.css";
import { FacetList } from "~/components/FacetList";
import { useFilters } from "~/components/FilterBar";
import { Page } from "~/components/Page";
import { Problem } from "~/components/Problem";
import { SavedFilters } from "~/components/SavedFilters";
import { Severity } from "~/components/Severity";
import { Time } from "~/components/Time";
import { EventDetail } from "~/forms/EventDetail";
import { raw, type Shapes } from "~/lib/api";
import { DEFAULT_RANGE, RANGES, eventQuery, facts, filterCount, type SecurityEvent } from "~/lib/events";
import { useZone } from "~/lib/preferences";
import { shortTime } from "~/lib/time";
import { MOST_LIVE, useLive, type Live } from "~/lib/live";

const PAGE = 100;
/** A search for something rare goes on by itself until this many pages were asked for. */
const MOST_EMPTY = 60;
const COLUMNS: readonly Column<SecurityEvent>[] = [
  { key: "time", title: "Time", width: 128, render: (event) => <Time value={facts(event).time} /> },
  { key: "effect", title: "Effect", width: 98, render: (event) => <Effect effect={facts(event).effect} /> },
  { key: "severity", title: "Severity", width: 114, render: (event) => (facts(event).severity ? <Severity severity={facts(event).severity} /> : "–") },
  { key: "what", title: "What", render: (event) => <What event={event} /> },
  { key: "app", title: "App ID", width: "14%", render: (event) => facts(event).app },
  { key: "rule", title: "Rule", width: "11%", render: (event) => facts(event).rule || "–" },
];

// Where all rows are new a few times a second, none has more than its text to draw.
const LIVE_COLUMNS: readonly Column<SecurityEvent>[] = COLUMNS.map((column) => (column.key === "time" ? { ...column, render: (event: SecurityEvent) => <Moment value={facts(event).time} /> } : column));

/** Runtime audits and WAAS events: what happened, live and in the past. */
export default function Events() {
  const { params, get, all, set } = useFilters();
  const live = get("live") === "1";
  const [paused, setPaused] = useState(false);
  const narrow = useMediaQuery("(max-width: 900px)", false, { getInitialValueInEffect: false });
  const [filtersShown, setFiltersShown] = useState(false);
  // Until it is asked anew, everything on the page is of one moment.
  const [now, setNow] = useState(() => Date.now());
  const query = useMemo(() => eventQuery(params, now).toString(), [params, now]);
  const untimed = useMemo(() => eventQuery(params, 0, false).toString(), [params]);
  const tail = useLive(untimed, live, paused);
  const facets = useAsked<Shapes["EventFacets"]>("facets", query);
  const open = (id: string | null) => set({ event: id });
  return (
    <Page
      title="Events"
      description="What Defenders saw, stopped and let through: runtime audits of programs, network and files, and WAAS events of requests."
      actions={<Actions query={query} live={live} onLive={(on) => { setPaused(false); setNow(Date.now()); set({ live: on ? "1" : null }); }} onRefresh={() => setNow(Date.now())} />}
    >
      <Bar />
      {!live && <Over query={query} onSpan={(from, to) => set({ from: new Date(from).toISOString(), to: new Date(to).toISOString(), range: null })} />}
      <div className={style.columns}>
        <div>
          {narrow && (
            <Button variant="default" fullWidth leftSection={<IconFilter size={15} />} aria-expanded={filtersShown} onClick={() => setFiltersShown(!filtersShown)}>
              Filters{filterCount(params) > 0 ? ` (${filterCount(params)})` : ""}
            </Button>
          )}
          <Collapse expanded={!narrow || filtersShown}>
            <FacetList facets={facets.data?.facets ?? {}} chosen={all} onChoose={(name, values) => set({ [name]: values })} />
          </Collapse>
        </div>
        <div className={style.main}>
          {live ? (
            <Tail tail={tail} paused={paused} onPause={setPaused} onOpen={(id) => { setPaused(true); open(id); }} chosen={get("event")} />
          ) : (
            <Found key={query} query={query} onOpen={open} chosen={get("event")} filtered={filterCount(params) > 0} onLonger={() => set({ range: "all", from: null, to: null })} />
          )}
        </div>
      </div>
      <EventDetail id={get("event") || null} onClose={() => open(null)} onFilter={(changes) => set({ ...changes, event: null, live: null })} />
    </Page>
  );
}

function Actions({ query, live, onLive, onRefresh }: { query: string; live: boolean; onLive: (on: boolean) => void; onRefresh: () => void }) {
  const { params, set } = useFilters();
  const exported = (format: string) => `/api/v1/events/export?${query}${query ? "&" : ""}format=${format}`;
  const choose = (saved: string) => {
    const names = new Set([...params.keys(), ...new URLSearchParams(saved).keys()]);
    set(Object.fromEntries([...names].map((name) => [name, new URLSearchParams(saved).getAll(name)])));
  };
  const kept = new URLSearchParams(params);
  kept.delete("event");
  return (
    <>
      {!live && <Button variant="default" onClick={onRefresh}>Refresh</Button>}
      <SavedFilters storage="bartizan-event-filters" query={kept.toString()} onChoose={choose} />
      <Menu position="bottom-end">
        <Menu.Target>
          <Button variant="default" leftSection={<IconDownload size={15} />}>Export</Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item component="a" href={exported("csv")} download>CSV, for spreadsheets</Menu.Item>
          <Menu.Item component="a" href={exported("jsonl")} download>JSON Lines, for programs</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Button variant={live ? "filled" : "default"} aria-pressed={live} leftSection={<IconBroadcast size={16} />} onClick={() => onLive(!live)}>Live</Button>
    </>
  );
}

function Bar() {
  const { params, get, set } = useFilters();
  const [text, setText] = useState(get("q"));
  const [asked, setAsked] = useState(get("q"));
  if (get("q") !== asked) {
    // It was changed from elsewhere: by a saved filter, or the browser's way back.
    setAsked(get("q"));
    setText(get("q"));
  }
  const search = (value: string) => {
    setAsked(value.trim());
    set({ q: value.trim() });
  };
  const later = useDebouncedCallback(search, 350);
  const own = get("from") !== "" || get("to") !== "";
  const ranges = Object.entries(RANGES).map(([value, { title }]) => ({ value, label: title }));
  return (
    <Group gap="xs" role="search" align="center">
      <TextInput
        type="search"
        aria-label="Search the events"
        placeholder="Words in message, program, URL, App ID…"
        leftSection={<IconSearch size={15} />}
        flex="1 1 240px"
        maw={460}
        maxLength={500}
        value={text}
        onChange={(event) => { setText(event.currentTarget.value); later(event.currentTarget.value); }}
        onKeyDown={(event) => { if (event.key === "Enter") search(text); }}
      />
      {get("live") !== "1" && (
        <Select
          aria-label="Time"
          w={190}
          allowDeselect={false}
          data={own ? [{ value: "own", label: "The chosen span" }, ...ranges] : ranges}
          value={own ? "own" : (get("range") || DEFAULT_RANGE)}
          onChange={(value) => value && value !== "own" && set({ range: value === DEFAULT_RANGE ? null : value, from: null, to: null })}
        />
      )}
      {(filterCount(params) > 0 || own) && (
        <Button variant="subtle" leftSection={<IconX size={14} />} onClick={() => set(Object.fromEntries([...params.keys()].filter((name) => name !== "live").map((name) => [name, null])))}>Clear</Button>
      )}
    </Group>
  );
}

function Over({ query, onSpan }: { query: string; onSpan: (from: number, to: number) => void }) {
  const counted = useAsked<Shapes["EventTimeslices"]>("timeslice", query, "buckets=90");
  if (!counted.data) return <div className={style.chart} style={{ height: 131 }} aria-hidden />;
  return <EventChart slices={counted.data.slices} searchedTo={counted.data.searchedTo} onSpan={onSpan} />;
}

interface List {
  onOpen: (id: string) => void;
  chosen: string;
}

function Found({ query, onOpen, chosen, filtered, onLonger }: List & { query: string; filtered: boolean; onLonger: () => void }) {
  const [stopped, setStopped] = useState(false);
  const found = useInfiniteQuery({
    queryKey: ["events", "list", query],
    queryFn: async ({ pageParam, signal }) => {
      const cursor = pageParam ? `&cursor=${encodeURIComponent(pageParam)}` : "";
      return (await (await raw(`/api/v1/events?${query}&limit=${PAGE}${cursor}`, { signal })).json()) as Shapes["EventPageAnswer"];
    },
    initialPageParam: "",
    getNextPageParam: (page) => page.older || undefined,
  });
  const { hasNextPage, isFetching, fetchNextPage } = found;
  const pages = found.data?.pages ?? [];
  const rows = useMemo(() => (found.data?.pages ?? []).flatMap((page) => page.events), [found.data]);
  const short = hasNextPage && rows.length < PAGE && pages.length < MOST_EMPTY && !stopped;
  useEffect(() => {
    if (short && !isFetching && !found.error) void fetchNextPage();
  }, [short, isFetching, fetchNextPage, found.error]);
  const searched = pages.at(-1)?.searchedTo;
  if (found.error && rows.length === 0) return <Problem title="The events cannot be listed" error={found.error} retry={() => void found.refetch()} />;
  return (
    <>
      {rows.length > 0 && (
        <DataTable label="Events" rows={rows} columns={COLUMNS} rowKey={(event) => event.id} chosen={chosen} onOpen={(event) => onOpen(event.id)} onEnd={() => { if (hasNextPage && !isFetching) void fetchNextPage(); }} maxHeight="calc(100vh - 190px)" />
      )}
      {rows.length === 0 && !isFetching && !hasNextPage && (
        <Empty title={filtered ? "Nothing matches" : "Nothing happened in this time"} actions={<Button variant="default" onClick={onLonger}>Look at all that is kept</Button>}>
          {filtered
            ? "No event of this time passes the filters. Take one away, or look at a longer time."
            : "Defenders report what a rule stops or alerts on. Look at a longer time, or write a rule whose effect is alert to see what an application does."}
        </Empty>
      )}
      <Group gap="sm" role="status" mih={24}>
        {isFetching && <Loader size="xs" aria-label="Searching" />}
        <Text size="xs" c="dimmed">
          {rows.length > 0 && `${rows.length.toLocaleString("en")}${hasNextPage ? " so far" : rows.length === 1 ? " event" : " events"}`}
          {hasNextPage && searched && <> · looked back to <Time value={searched} /></>}
        </Text>
        {short && pages.length > 2 && <Button size="compact-xs" variant="default" onClick={() => setStopped(true)}>Stop</Button>}
        {hasNextPage && !isFetching && !short && <Button size="compact-xs" variant="default" onClick={() => void fetchNextPage()}>Older</Button>}
      </Group>
    </>
  );
}

function Tail({ tail, paused, onPause, onOpen, chosen }: List & { tail: Live; paused: boolean; onPause: (paused: boolean) => void }) {
  const states = { off: "Off", opening: "Connecting…", open: "Live", broken: "The stream was refused: reload the page" };
  return (
    <>
      <Group justify="space-between">
        <Text size="sm" role="status">
          <span className={`${style.live} ${tail.state === "open" && !paused ? style.liveOpen : ""}`} aria-hidden />
          {paused ? "Paused" : states[tail.state]}
          {tail.rate > 0 && ` · ${tail.rate.toLocaleString("en")} a second`}
        </Text>
        <Button variant="default" leftSection={paused ? <IconPlayerPlay size={15} /> : <IconPlayerPause size={15} />} onClick={() => onPause(!paused)}>
          {paused ? `Go on${tail.waiting > 0 ? ` (${tail.waiting.toLocaleString("en")} new)` : ""}` : "Pause"}
        </Button>
      </Group>
      {tail.events.length === 0 ? (
        <Empty title="Waiting for events">What Defenders report from now on appears here at once. The newest {MOST_LIVE.toLocaleString("en")} are kept while this page is open.</Empty>
      ) : (
        <DataTable label="Events as they come" rows={tail.events} columns={LIVE_COLUMNS} rowKey={(event) => event.id} chosen={chosen} onOpen={(event) => onOpen(event.id)} maxHeight="calc(100vh - 260px)" />
      )}
    </>
  );
}

function Moment({ value }: { value: string }) {
  const [zone] = useZone();
  return <time dateTime={value}>{shortTime(new Date(value), zone, new Date())}</time>;
}

function What({ event }: { event: SecurityEvent }) {
  const { title, message, count } = facts(event);
  return (
    <span className={style.what} title={message}>
      <b>{title}</b> <span>{message}</span>
      {count > 1 && ` ×${count.toLocaleString("en")}`}
    </span>
  );
}

function useAsked<Answer>(path: string, query: string, further = "") {
  return useQuery({
    queryKey: ["events", path, query, further],
    queryFn: async ({ signal }) => (await (await raw(`/api/v1/events/${path}?${query}&${further}`, { signal })).json()) as Answer,
    placeholderData: keepPreviousData,
  });
}
