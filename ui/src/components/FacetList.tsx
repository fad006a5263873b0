import { useState } from "react";

import type { Shapes } from "~/lib/api";
import { FACETS, words } from "~/lib/events";

import style from "./events.module.css";

const FEW = 6;
const NAMED = new Set(["reason", "type", "protection"]);

interface List {
  facets: Shapes["EventFacets"]["facets"];
  chosen: (parameter: string) => readonly string[];
  onChoose: (parameter: string, values: readonly string[]) => void;
}

/** The commonest values of each facet with their counts; several of one are alternatives. */
export function FacetList({ facets, chosen, onChoose }: List) {
  const shown = FACETS.map((facet) => ({ ...facet, values: withChosen(facets[facet.name] ?? [], chosen(facet.parameter)) })).filter((facet) => facet.values.length > 0);
  return (
    <div className={style.facets} role="group" aria-label="Filters">
      {shown.length === 0 && <div className={style.facet}>Nothing to filter by.</div>}
      {shown.map((facet) => (
        <Facet key={facet.name} name={facet.name} title={facet.title} values={facet.values} chosen={chosen(facet.parameter)} onChoose={(values) => onChoose(facet.parameter, values)} />
      ))}
    </div>
  );
}

interface One {
  name: string;
  title: string;
  values: readonly Shapes["FacetValue"][];
  chosen: readonly string[];
  onChoose: (values: readonly string[]) => void;
}

function Facet({ name, title, values, chosen, onChoose }: One) {
  const [all, setAll] = useState(false);
  // The address follows a moment later; until then what was chosen stays chosen.
  const [marked, setMarked] = useState(chosen);
  const [known, setKnown] = useState(chosen.join(","));
  if (chosen.join(",") !== known) {
    setKnown(chosen.join(","));
    setMarked(chosen);
  }
  const choose = (values: readonly string[]) => {
    setMarked(values);
    onChoose(values);
  };
  const shown = all ? values : values.slice(0, FEW);
  return (
    <fieldset className={style.facet} style={{ border: 0, borderBottom: "1px solid var(--bz-line)", margin: 0 }}>
      <legend className="visually-hidden">{title}</legend>
      <h2 aria-hidden>{title}</h2>
      {shown.map(({ value, count }) => (
        <label key={value} className={style.value} title={value}>
          <input
            type="checkbox"
            checked={marked.includes(value)}
            onChange={(event) => choose(event.currentTarget.checked ? [...marked, value] : marked.filter((other) => other !== value))}
          />
          <span className={style.name}>{NAMED.has(name) ? words(value) : value}</span>
          <span className={style.count}>{count.toLocaleString("en")}</span>
        </label>
      ))}
      {values.length > FEW && (
        <button type="button" className={style.more} onClick={() => setAll(!all)} aria-expanded={all}>
          {all ? "Fewer" : `${values.length - FEW} more`}
        </button>
      )}
    </fieldset>
  );
}

function withChosen(values: readonly Shapes["FacetValue"][], chosen: readonly string[]): readonly Shapes["FacetValue"][] {
  const missing = chosen.filter((value) => !values.some((item) => item.value === value));
  return [...missing.map((value) => ({ value, count: 0 })), ...values];
}
