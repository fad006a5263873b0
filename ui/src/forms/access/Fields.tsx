import { MultiSelect, Select, Text } from "@mantine/core";

import { useCollectionNames, useRoles } from "~/lib/access";

/** Choose a role; what it is for stands below. */
export function RoleField({ value, onChange, label = "Role", clearable = false }: { value: string; onChange: (role: string) => void; label?: string; clearable?: boolean }) {
  const roles = useRoles();
  const names = roles.data?.map((role) => role.name) ?? [];
  const chosen = roles.data?.find((role) => role.name === value);
  return (
    <Select
      label={label}
      placeholder={clearable ? "No further limit" : "Choose a role"}
      data={names}
      value={value || null}
      onChange={(role) => onChange(role ?? "")}
      clearable={clearable}
      searchable
      required={!clearable}
      description={chosen?.description}
      inputWrapperOrder={["label", "input", "description", "error"]}
    />
  );
}

/** Choose collections; none is no limit. */
export function CollectionsField({ value, onChange }: { value: string[]; onChange: (names: string[]) => void }) {
  const names = useCollectionNames();
  return (
    <MultiSelect
      label="Only within collections"
      placeholder={value.length === 0 ? "Everything" : undefined}
      description="Whoever is limited sees the Defenders of these workloads only, and nothing that cannot be told apart by collections."
      inputWrapperOrder={["label", "input", "description", "error"]}
      data={[...new Set([...names, ...value])]}
      value={value}
      onChange={onChange}
      searchable
      clearable
    />
  );
}

/** Where rights hold. */
export function Where({ collections }: { collections: readonly string[] }) {
  return collections.length === 0 ? <Text component="span" size="sm" c="dimmed">everywhere</Text> : <span className="break">{collections.join(", ")}</span>;
}
