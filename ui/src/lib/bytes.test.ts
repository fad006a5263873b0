import { expect, test } from "vitest";

import { bytes } from "./bytes";

test.each([
  [0, "0 bytes"],
  [1023, "1023 bytes"],
  [1536, "1.5 KiB"],
  [300 * 1024 * 1024, "300 MiB"],
  [5 * 1024 ** 5, "5120 TiB"],
])("%d bytes are written for people", (count, shown) => {
  expect(bytes(count)).toBe(shown);
});
