import { Button } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { IconArrowDown, IconArrowUp } from "@tabler/icons-react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from "react";

import style from "./data-table.module.css";

/** One column: how its cells look, and by what they are sorted. */
export interface Column<Row> {
  key: string;
  title: string;
  render: (row: Row) => ReactNode;
  /** What to sort by; without it the column cannot be sorted. */
  sort?: (row: Row) => string | number;
  width?: number | string;
  align?: "end";
}

interface Table<Row> {
  /** What the table lists, for screen readers. */
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string | number;
  onOpen?: (row: Row) => void;
  /** The key of the row whose details are shown. */
  chosen?: string | number | null;
  /** The tallest it may grow before it scrolls. */
  maxHeight?: number | string;
  rowHeight?: number;
  /** Let cells have several lines. */
  wrap?: boolean;
  /** Called when the last rows come into view. */
  onEnd?: () => void;
}

interface Sorting {
  key: string;
  down: boolean;
}

/**
 * A table that draws only the rows in view: arrow keys, Home and End move, Enter opens.
 *
 * Below 600 pixels each row becomes a card.
 */
export function DataTable<Row>(table: Table<Row>) {
  const narrow = useMediaQuery("(max-width: 600px)", false, { getInitialValueInEffect: false });
  const [sorting, setSorting] = useState<Sorting | null>(null);
  const rows = useSorted(table.rows, table.columns, sorting);
  return narrow ? <Cards {...table} rows={rows} /> : <Grid {...table} rows={rows} sorting={sorting} onSort={setSorting} />;
}

function useSorted<Row>(rows: readonly Row[], columns: readonly Column<Row>[], sorting: Sorting | null): readonly Row[] {
  return useMemo(() => {
    const by = columns.find((column) => column.key === sorting?.key)?.sort;
    if (!by || !sorting) return rows;
    const direction = sorting.down ? -1 : 1;
    return [...rows].sort((one, other) => direction * compare(by(one), by(other)));
  }, [rows, columns, sorting]);
}

function compare(one: string | number, other: string | number): number {
  return typeof one === "number" && typeof other === "number" ? one - other : String(one).localeCompare(String(other), "en", { numeric: true });
}

function Grid<Row>({ label, columns, rows, rowKey, onOpen, chosen, maxHeight = "70vh", rowHeight = 36, wrap = false, onEnd, sorting, onSort }: Table<Row> & { sorting: Sorting | null; onSort: (sorting: Sorting | null) => void }) {
  const frame = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(0);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => frame.current,
    estimateSize: () => rowHeight,
    overscan: 12,
    onChange: (instance) => {
      const last = instance.getVirtualItems().at(-1);
      if (onEnd && last && last.index >= rows.length - 5 && instance.isScrolling) onEnd();
    },
  });
  const items = virtual.getVirtualItems();
  const before = items[0]?.start ?? 0;
  const after = virtual.getTotalSize() - (items.at(-1)?.end ?? 0);
  const move = (index: number) => {
    const next = Math.max(0, Math.min(rows.length - 1, index));
    setActive(next);
    virtual.scrollToIndex(next);
    requestAnimationFrame(() => frame.current?.querySelector<HTMLElement>(`[data-index="${next}"]`)?.focus());
  };
  const onKey = (event: KeyboardEvent, index: number, row: Row) => {
    if (event.target !== event.currentTarget) return;
    const steps: Record<string, number> = { ArrowDown: index + 1, ArrowUp: index - 1, PageDown: index + 10, PageUp: index - 10, Home: 0, End: rows.length - 1 };
    const step = steps[event.key];
    if (step !== undefined) {
      event.preventDefault();
      move(step);
    } else if (onOpen && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      onOpen(row);
    }
  };
  const focusable = Math.min(active, rows.length - 1);
  const visible = items.some((item) => item.index === focusable) ? focusable : items[0]?.index;
  return (
    <div className={style.frame} ref={frame} style={{ maxHeight }}>
      <table className={`${style.table} ${wrap ? style.wrap : ""}`} aria-label={label} aria-rowcount={rows.length + 1}>
        <colgroup>
          {columns.map((column) => (
            <col key={column.key} style={column.width === undefined ? undefined : { width: column.width }} />
          ))}
        </colgroup>
        <thead>
          <tr>
            {columns.map((column) => (
              <Head key={column.key} column={column} sorting={sorting} onSort={onSort} />
            ))}
          </tr>
        </thead>
        <tbody>
          {before > 0 && <Spacer height={before} columns={columns.length} />}
          {items.map((item) => {
            const row = rows[item.index];
            if (row === undefined) return null;
            const key = rowKey(row);
            return (
              <tr
                key={key}
                ref={wrap ? virtual.measureElement : undefined}
                data-index={item.index}
                aria-rowindex={item.index + 2}
                aria-current={chosen === key || undefined}
                tabIndex={item.index === visible ? 0 : -1}
                className={`${style.row} ${onOpen ? style.open : ""} ${chosen === key ? style.chosen : ""}`}
                onKeyDown={(event) => onKey(event, item.index, row)}
                onFocus={() => setActive(item.index)}
                onClick={(event) => {
                  // Buttons and links within a row do what they say, and nothing else.
                  if (onOpen && !(event.target as Element).closest("a,button,input,label")) onOpen(row);
                }}
              >
                {columns.map((column) => (
                  <td key={column.key} className={column.align === "end" ? style.end : undefined}>{column.render(row)}</td>
                ))}
              </tr>
            );
          })}
          {after > 0 && <Spacer height={after} columns={columns.length} />}
        </tbody>
      </table>
    </div>
  );
}

function Head<Row>({ column, sorting, onSort }: { column: Column<Row>; sorting: Sorting | null; onSort: (sorting: Sorting | null) => void }) {
  const mine = sorting?.key === column.key ? sorting : null;
  const align = column.align === "end" ? style.end : undefined;
  if (!column.sort) return <th scope="col" className={align}>{column.title || <span className="visually-hidden">Actions</span>}</th>;
  const next = mine === null ? { key: column.key, down: false } : mine.down ? null : { key: column.key, down: true };
  return (
    <th scope="col" className={align} aria-sort={mine === null ? "none" : mine.down ? "descending" : "ascending"}>
      <button type="button" className={style.sort} onClick={() => onSort(next)}>
        {column.title}
        {mine !== null && (mine.down ? <IconArrowDown size={13} aria-hidden /> : <IconArrowUp size={13} aria-hidden />)}
      </button>
    </th>
  );
}

function Spacer({ height, columns }: { height: number; columns: number }) {
  return (
    <tr className={style.spacer} aria-hidden>
      <td colSpan={columns} style={{ height }} />
    </tr>
  );
}

const CARDS_AT_ONCE = 50;

function Cards<Row>({ label, columns, rows, rowKey, onOpen, onEnd }: Table<Row>) {
  const [shown, setShown] = useState(CARDS_AT_ONCE);
  const [first, ...rest] = columns;
  const more = () => {
    setShown(shown + CARDS_AT_ONCE);
    if (shown + CARDS_AT_ONCE >= rows.length) onEnd?.();
  };
  return (
    <>
      <ul className={style.cards} aria-label={label}>
        {rows.slice(0, shown).map((row) => (
          <li key={rowKey(row)} className={style.card}>
            {first && (
              <div className={style.first}>
                {onOpen ? <button type="button" className={style.cardButton} onClick={() => onOpen(row)}>{first.render(row)}</button> : first.render(row)}
              </div>
            )}
            <dl>
              {rest.map((column) => (
                <Fact key={column.key} title={column.title || "Actions"}>{column.render(row)}</Fact>
              ))}
            </dl>
          </li>
        ))}
      </ul>
      {(shown < rows.length || onEnd) && rows.length >= CARDS_AT_ONCE && (
        <Button variant="default" mt="xs" fullWidth onClick={more}>Show more</Button>
      )}
    </>
  );
}

function Fact({ title, children }: { title: string; children: ReactNode }) {
  return (
    <>
      <dt>{title}</dt>
      <dd>{children}</dd>
    </>
  );
}
