import { Checkbox, Group, SegmentedControl, SimpleGrid, Stack, Text, Textarea } from "@mantine/core";
import { useState } from "react";

import type { EffectName, Placed } from "~/lib/runtime-policy";

const EFFECTS: { value: EffectName; label: string }[] = [
  { value: "disable", label: "Disable" },
  { value: "alert", label: "Alert" },
  { value: "prevent", label: "Prevent" },
];

/** What is wrong with a field, in the words of the Console. */
export function errorOf(problems: readonly Placed[], field: string): string | undefined {
  const found = problems.filter((problem) => problem.field === field || problem.field.startsWith(`${field}.`)).map((problem) => problem.text);
  return found.length === 0 ? undefined : found.slice(0, 3).join("; ");
}

/** The effect of a part: nothing, report, or stop and report. */
export function EffectField({ label, value, onChange, readOnly }: { label: string; value: EffectName; onChange: (value: EffectName) => void; readOnly: boolean }) {
  return (
    <Group gap="sm" wrap="wrap">
      <Text size="sm" fw={560} component="span">Effect</Text>
      <SegmentedControl size="xs" aria-label={label} data={EFFECTS} value={value} onChange={(next) => onChange(next as EffectName)} readOnly={readOnly} />
      <Text size="xs" c="dimmed">{{ disable: "Nothing is judged here.", alert: "It happens, and is reported.", prevent: "It does not happen, and is reported." }[value]}</Text>
    </Group>
  );
}

interface Lines {
  label: string;
  description: string;
  placeholder: string;
  value: readonly string[];
  onChange: (value: string[]) => void;
  readOnly: boolean;
  error: string | undefined;
}

/** A list of entries, one a line. */
export function LinesField({ value, onChange, ...rest }: Lines) {
  const [text, setText] = useState(value.join("\n"));
  return (
    <Textarea
      {...rest}
      autosize
      minRows={2}
      maxRows={10}
      spellCheck={false}
      styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
      value={text}
      onChange={(event) => {
        setText(event.currentTarget.value);
        onChange(event.currentTarget.value.split("\n").map((line) => line.trim()).filter((line) => line !== ""));
      }}
    />
  );
}

export interface Range {
  start: number;
  end: number;
  deny: boolean;
}

/** Ports and ranges of them (`8000-8100`), one a line. */
export function PortsField({ value, onChange, error, ...rest }: Omit<Lines, "value" | "onChange"> & { value: readonly Range[]; onChange: (value: Range[]) => void }) {
  const [wrong, setWrong] = useState("");
  return (
    <LinesField
      {...rest}
      error={wrong === "" ? error : `\`${wrong}\` is no port and no range such as 8000-8100`}
      value={value.map(({ start, end }) => (start === end ? String(start) : `${start}-${end}`))}
      onChange={(lines) => {
        const found = lines.map((line) => /^(\d{1,5})(?:\s*-\s*(\d{1,5}))?$/.exec(line));
        setWrong(lines.find((_, index) => found[index] === null) ?? "");
        onChange(found.flatMap((match) => (match ? [{ start: Number(match[1]), end: Number(match[2] ?? match[1]), deny: false }] : [])));
      }}
    />
  );
}

/** An allow list beside a deny list. */
export function Pair({ children }: { children: React.ReactNode }) {
  return <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="sm">{children}</SimpleGrid>;
}

/** A question that is on or off, with what it is for. */
export function Flag({ label, description, checked, onChange, readOnly }: { label: string; description: string; checked: boolean; onChange: (checked: boolean) => void; readOnly: boolean }) {
  return <Checkbox size="sm" label={label} description={description} checked={checked} disabled={readOnly} onChange={(event) => onChange(event.currentTarget.checked)} />;
}

/** A part of the form with its parts below each other. */
export function Part({ children }: { children: React.ReactNode }) {
  return <Stack gap="sm">{children}</Stack>;
}
