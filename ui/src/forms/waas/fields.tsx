import { NumberInput, Select, Switch, TagsInput, Text, TextInput, Textarea } from "@mantine/core";
import type { ReactNode } from "react";

import { at, withAt, type Place } from "~/lib/document";
import { EFFECTS, EFFECT_MEANS, type WaasApplication } from "~/lib/waas";

/** One application that is edited; forms write single places of it. */
export interface Draft {
  application: WaasApplication;
  change: (application: WaasApplication) => void;
  readOnly: boolean;
  /** What labels are of, so that each is unique on the page. */
}

interface Field {
  draft: Draft;
  place: Place;
  label: string;
  description?: ReactNode;
}

function put(draft: Draft, place: Place, value: unknown): void {
  draft.change(withAt(draft.application, place, value));
}

/** An effect, with what it does. */
export function EffectField({ draft, place, label, description, effects = EFFECTS, inherited }: Field & { effects?: readonly string[]; inherited?: string }) {
  const value = at(draft.application, place);
  const options = effects.map((effect) => ({ value: effect, label: effect }));
  return (
    <Select
      label={label}
      description={description}
      data={inherited === undefined ? options : [{ value: "", label: `as ${inherited}` }, ...options]}
      value={typeof value === "string" ? value : inherited === undefined ? "disable" : ""}
      onChange={(chosen) => put(draft, place, chosen === "" ? undefined : chosen)}
      readOnly={draft.readOnly}
      allowDeselect={false}
      renderOption={({ option }) => (
        <div>
          <Text size="sm">{option.label}</Text>
          {EFFECT_MEANS[option.value] !== undefined && <Text size="xs" c="dimmed">{EFFECT_MEANS[option.value]}</Text>}
        </div>
      )}
    />
  );
}

/** On or off. */
export function FlagField({ draft, place, label, description, initially = false }: Field & { initially?: boolean }) {
  const value = at(draft.application, place);
  return <Switch label={label} description={description} checked={typeof value === "boolean" ? value : initially} disabled={draft.readOnly} onChange={(event) => put(draft, place, event.currentTarget.checked)} />;
}

/** A whole number. */
export function NumberField({ draft, place, label, description, min = 0, max, initially = 0, suffix }: Field & { min?: number; max?: number; initially?: number; suffix?: string }) {
  const value = at(draft.application, place);
  return <NumberInput label={label} description={description} value={typeof value === "number" ? value : initially} min={min} max={max} suffix={suffix} allowDecimal={false} readOnly={draft.readOnly} onChange={(number) => typeof number === "number" && put(draft, place, number)} />;
}

/** A line of text. */
export function TextField({ draft, place, label, description, placeholder, mono = false }: Field & { placeholder?: string; mono?: boolean }) {
  const value = at(draft.application, place);
  return <TextInput label={label} description={description} placeholder={placeholder} value={typeof value === "string" ? value : ""} readOnly={draft.readOnly} onChange={(event) => put(draft, place, event.currentTarget.value)} classNames={mono ? { input: "mono" } : undefined} />;
}

/** Several lines of text. */
export function LinesField({ draft, place, label, description, placeholder }: Field & { placeholder?: string }) {
  const value = at(draft.application, place);
  return <Textarea label={label} description={description} placeholder={placeholder} value={typeof value === "string" ? value : ""} readOnly={draft.readOnly} autosize minRows={3} maxRows={14} onChange={(event) => put(draft, place, event.currentTarget.value)} classNames={{ input: "mono" }} />;
}

/** A list of words; `suggestions` are offered, others can be typed. */
export function WordsField({ draft, place, label, description, placeholder, suggestions }: Field & { placeholder?: string; suggestions?: readonly string[] }) {
  const value = at(draft.application, place);
  const words = Array.isArray(value) ? value.map(String) : [];
  return <TagsInput label={label} description={description} placeholder={words.length === 0 ? placeholder : undefined} data={suggestions ? [...suggestions] : undefined} value={words} readOnly={draft.readOnly} acceptValueOnBlur onChange={(chosen) => put(draft, place, chosen)} />;
}

/** One of a few. */
export function ChoiceField({ draft, place, label, description, choices, initially }: Field & { choices: readonly string[]; initially: string }) {
  const value = at(draft.application, place);
  return <Select label={label} description={description} data={[...choices]} value={typeof value === "string" && value !== "" ? value : initially} readOnly={draft.readOnly} allowDeselect={false} onChange={(chosen) => put(draft, place, chosen)} />;
}
