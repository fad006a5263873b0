import { ActionIcon, Group, Menu, Switch, Text } from "@mantine/core";
import { IconArrowBarToDown, IconArrowBarToUp, IconCopy, IconDots, IconGripVertical, IconPencil, IconTrash } from "@tabler/icons-react";
import { useRef, useState, type KeyboardEvent } from "react";

import { Effect } from "~/components/Effect";
import { Time } from "~/components/Time";
import type { Shapes } from "~/lib/api";
import { inForceParts, moved, type Rule } from "~/lib/runtime-policy";
import { Tag } from "~/ui/Tag";

import style from "./rule-list.module.css";

interface List {
  rules: readonly Rule[];
  uses: ReadonlyMap<string, Shapes["RuleUse"]>;
  /** Names of rules that differ from those in force. */
  edited: ReadonlySet<string>;
  /** The rules to show; the others keep their places. */
  shows: (rule: Rule) => boolean;
  readOnly: boolean;
  onOpen: (place: number) => void;
  onChange: (rules: Rule[]) => void;
  onClone: (place: number) => void;
}

/** The rules in the order in which they are tried: dragged by the handle, or moved by Alt and the arrow keys on it. */
export function RuleList({ rules, uses, edited, shows, readOnly, onOpen, onChange, onClone }: List) {
  const [dragged, setDragged] = useState<number | null>(null);
  const [over, setOver] = useState<number | null>(null);
  const [said, setSaid] = useState("");
  const list = useRef<HTMLOListElement>(null);
  const move = (from: number, to: number) => {
    if (to < 0 || to >= rules.length || from === to) return;
    onChange(moved(rules, from, to));
    setSaid(`${rules[from]?.name ?? ""} is at place ${to + 1} of ${rules.length}`);
    requestAnimationFrame(() => list.current?.querySelector<HTMLElement>(`[data-handle="${to}"]`)?.focus());
  };
  const onKey = (event: KeyboardEvent, place: number) => {
    const to = { ArrowUp: place - 1, ArrowDown: place + 1, Home: 0, End: rules.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    move(place, to);
  };
  return (
    <>
      <ol className={style.list} ref={list} aria-label="Rules in their order">
        {rules.map((rule, place) => shows(rule) && (
          <li
            key={rule.name}
            className={`${style.rule} ${rule.disabled ? style.off : ""} ${over === place && dragged !== null ? (dragged > place ? style.above : style.below) : ""}`}
            onDragOver={(event) => {
              if (dragged === null) return;
              event.preventDefault();
              setOver(place);
            }}
            onDrop={(event) => {
              event.preventDefault();
              if (dragged !== null) move(dragged, place);
              setDragged(null);
              setOver(null);
            }}
          >
            {!readOnly && (
              <button
                type="button"
                data-handle={place}
                className={style.handle}
                draggable
                aria-label={`Move ${rule.name}: place ${place + 1} of ${rules.length}, arrow keys move it`}
                onKeyDown={(event) => onKey(event, place)}
                onDragStart={(event) => {
                  event.dataTransfer.effectAllowed = "move";
                  event.dataTransfer.setData("text/plain", rule.name);
                  setDragged(place);
                }}
                onDragEnd={() => {
                  setDragged(null);
                  setOver(null);
                }}
              >
                <IconGripVertical size={16} aria-hidden />
              </button>
            )}
            <span className={style.place}>{place + 1}</span>
            <div className={style.main}>
              <Group gap="xs">
                <button type="button" className={style.name} onClick={() => onOpen(place)}>{rule.name}</button>
                {edited.has(rule.name) && <Tag tone="info">not saved</Tag>}
                {rule.disabled && <Tag tone="mute">disabled</Tag>}
              </Group>
              <Text size="xs" c="dimmed" className="break">
                {rule.collections.map((item) => item.name).join(", ")}
                {rule.notes !== "" && ` · ${rule.notes.split("\n")[0]}`}
              </Text>
            </div>
            <Parts rule={rule} />
            <Use use={uses.get(rule.name)} />
            <Actions {...{ rule, place, readOnly, onOpen, onClone, move }} last={rules.length - 1} onChange={(next) => onChange(next === null ? rules.filter((item) => item !== rule) : rules.map((item) => (item === rule ? next : item)))} />
          </li>
        ))}
      </ol>
      <span className="visually-hidden" role="status">{said}</span>
    </>
  );
}

function Parts({ rule }: { rule: Rule }) {
  const parts = inForceParts(rule);
  return (
    <div className={style.parts}>
      {parts.length === 0 && rule.customRules.length === 0 && <Text size="xs" c="dimmed">judges nothing</Text>}
      {parts.map(({ part, effect }) => (
        <span key={part} className={style.part}>
          <Text component="span" size="xs" c="dimmed">{part}</Text> <Effect effect={effect} />
        </span>
      ))}
      {rule.customRules.length > 0 && <Text component="span" size="xs" c="dimmed">{rule.customRules.length === 1 ? "1 custom rule" : `${rule.customRules.length} custom rules`}</Text>}
    </div>
  );
}

function Use({ use }: { use: Shapes["RuleUse"] | undefined }) {
  return (
    <div className={style.use}>
      <Text size="sm">{(use?.hits ?? 0).toLocaleString("en")} {use?.hits === 1 ? "match" : "matches"}</Text>
      <Text size="xs" c="dimmed" component="div">
        {use?.lastHit ? <>last <Time value={use.lastHit} relative /></> : "none yet"} · {use?.workloads ?? 0} {use?.workloads === 1 ? "workload" : "workloads"}
      </Text>
    </div>
  );
}

interface RowActions {
  rule: Rule;
  place: number;
  last: number;
  readOnly: boolean;
  onOpen: (place: number) => void;
  onClone: (place: number) => void;
  move: (from: number, to: number) => void;
  /** The changed rule, or null to remove it. */
  onChange: (rule: Rule | null) => void;
}

function Actions({ rule, place, last, readOnly, onOpen, onClone, move, onChange }: RowActions) {
  if (readOnly) return <span />;
  return (
    <Group gap={4} wrap="nowrap" justify="flex-end" className={style.actions}>
      <Switch size="xs" aria-label={`Rule ${rule.name} is enabled`} checked={!rule.disabled} onChange={(event) => onChange({ ...rule, disabled: !event.currentTarget.checked })} />
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" aria-label={`More for ${rule.name}`}><IconDots size={16} aria-hidden /></ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<IconPencil size={14} />} onClick={() => onOpen(place)}>Edit</Menu.Item>
          <Menu.Item leftSection={<IconCopy size={14} />} onClick={() => onClone(place)}>Copy</Menu.Item>
          <Menu.Item leftSection={<IconArrowBarToUp size={14} />} disabled={place === 0} onClick={() => move(place, 0)}>Move to the top</Menu.Item>
          <Menu.Item leftSection={<IconArrowBarToDown size={14} />} disabled={place === last} onClick={() => move(place, last)}>Move to the end</Menu.Item>
          <Menu.Divider />
          <Menu.Item leftSection={<IconTrash size={14} />} onClick={() => onChange(null)}>Remove</Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </Group>
  );
}
