const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/** Write a number of bytes for people, with two digits or more that matter. */
export function bytes(count: number): string {
  let left = count;
  let unit = 0;
  while (left >= 1024 && unit < UNITS.length - 1) {
    left /= 1024;
    unit += 1;
  }
  return `${unit === 0 || left >= 100 ? Math.round(left) : left.toFixed(1)} ${UNITS[unit]}`;
}
