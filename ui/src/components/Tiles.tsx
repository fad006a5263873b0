import style from "./tiles.module.css";

export interface Tile {
  label: string;
  count: number | undefined;
  /** Whether it should be looked at when it is not 0. */
  tone?: "bad" | "warn" | "good";
  chosen: boolean;
  onChoose: () => void;
}

/** Numbers that are filters: choosing one shows what it counts. */
export function Tiles({ label, tiles }: { label: string; tiles: readonly Tile[] }) {
  return (
    <div className={style.tiles} role="group" aria-label={label}>
      {tiles.map((tile) => (
        <button key={tile.label} type="button" className={style.tile} aria-pressed={tile.chosen} onClick={tile.onChoose}>
          <span className={`${style.count} ${tile.tone && tile.count ? style[tile.tone] : ""}`}>{tile.count?.toLocaleString("en") ?? "–"}</span>
          <span className={style.label}>{tile.label}</span>
        </button>
      ))}
    </div>
  );
}
