import { MultiSelect } from "@mantine/core";

import { useFilters } from "./FilterBar";

interface Facet {
  /** The parameter of the address. */
  name: string;
  label: string;
  /** How many there are of each value. */
  counts: Record<string, number> | undefined;
  /** What values are called; the value itself otherwise. */
  titles?: Readonly<Record<string, string>>;
  width?: number;
}

/** Choose values of a facet, each with its number; the choice lives in the page's address. */
export function FacetSelect({ name, label, counts, titles = {}, width = 170 }: Facet) {
  const { all, set } = useFilters();
  const chosen = all(name);
  const values = [...new Set([...Object.keys(counts ?? {}), ...chosen])].filter((value) => value !== "");
  return (
    <MultiSelect
      aria-label={label}
      placeholder={chosen.length === 0 ? label : undefined}
      data={values.map((value) => ({ value, label: `${titles[value] ?? value} (${counts?.[value] ?? 0})` }))}
      value={chosen}
      onChange={(next) => set({ [name]: next })}
      w={width}
      maw="100%"
      clearable
      searchable={values.length > 8}
      comboboxProps={{ width: "max-content", position: "bottom-start" }}
      clearButtonProps={{ "aria-label": `Clear ${label}` }}
    />
  );
}
