import { NumberInput, PasswordInput, Select, SimpleGrid, Switch, TagsInput, Textarea, TextInput } from "@mantine/core";

import { TARGETS, type Block, type Field } from "~/lib/alerts";

interface Fields {
  block: Block;
  values: Record<string, unknown>;
  /** The secrets that are kept already. */
  kept: readonly string[];
  mayWrite: boolean;
  onChange: (key: string, value: unknown) => void;
}

const WIDE = new Set<Field["kind"]>(["template", "pem", "switch"]);

/** What a target has to be told. */
export function TargetFields({ block, values, kept, mayWrite, onChange }: Fields) {
  const fields = TARGETS.find((target) => target.block === block)?.fields ?? [];
  const narrow = fields.filter(({ kind }) => !WIDE.has(kind));
  const shown = (field: Field) => <OneField key={`${block}.${field.key}`} field={field} value={values[field.key] ?? field.start} kept={kept.includes(field.key)} mayWrite={mayWrite} onChange={(value) => onChange(field.key, value)} />;
  return (
    <>
      <SimpleGrid cols={{ base: 1, xs: 2 }} verticalSpacing="xs">{narrow.map(shown)}</SimpleGrid>
      {fields.filter(({ kind }) => WIDE.has(kind)).map(shown)}
    </>
  );
}

function OneField({ field, value, kept, mayWrite, onChange }: { field: Field; value: unknown; kept: boolean; mayWrite: boolean; onChange: (value: unknown) => void }) {
  const { title, about, example, needed, kind, choices } = field;
  const common = { label: title, description: about, placeholder: example, withAsterisk: needed === true, readOnly: !mayWrite };
  const text = typeof value === "string" ? value : "";
  switch (kind) {
    case "secret":
      return <PasswordInput {...common} placeholder={kept ? "kept; type to replace it" : example} autoComplete="new-password" value={text} onChange={(event) => onChange(event.currentTarget.value)} />;
    case "number":
      return <NumberInput {...common} min={0} max={65535} allowDecimal={false} value={typeof value === "number" ? value : ""} onChange={(found) => onChange(typeof found === "number" ? found : undefined)} />;
    case "switch":
      return <Switch label={title} description={about} disabled={!mayWrite} checked={value === true} onChange={(event) => onChange(event.currentTarget.checked)} />;
    case "list":
      return <TagsInput {...common} acceptValueOnBlur splitChars={[",", "\n"]} value={Array.isArray(value) ? (value as string[]) : []} onChange={onChange} />;
    case "choice":
      return <Select {...common} allowDeselect={false} data={[...(choices ?? [])]} value={text} onChange={(found) => onChange(found ?? "")} />;
    case "template":
      return <Textarea {...common} autosize minRows={2} maxRows={12} maxLength={16384} placeholder={'{"text": "#title in #appID: #message", "event": #event}'} classNames={{ input: "mono" }} spellCheck={false} value={text} onChange={(event) => onChange(event.currentTarget.value)} />;
    case "pem":
      return <Textarea {...common} autosize minRows={1} maxRows={6} maxLength={65536} placeholder="-----BEGIN CERTIFICATE-----" classNames={{ input: "mono" }} spellCheck={false} value={text} onChange={(event) => onChange(event.currentTarget.value)} />;
    default:
      return <TextInput {...common} maxLength={2048} value={text} onChange={(event) => onChange(event.currentTarget.value)} />;
  }
}
