// SPDX-License-Identifier: BSD-3-Clause
// LRU by lru-cache, SIEVE by @neophi/sieve-cache (objects of one size).
// usage: node node.mjs lru|sieve CAPACITY <TRACE    prints requests misses bytes missed_bytes
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
const require = createRequire(process.cwd() + "/");
const [policy, capacityText] = process.argv.slice(2);
const capacity = Number(capacityText);
const open = {
  lru: () => {
    const { LRUCache } = require("lru-cache");
    return new LRUCache({ maxSize: capacity, sizeCalculation: (size) => size });
  },
  sieve: () => {
    const { SieveCache } = require("@neophi/sieve-cache");
    return new SieveCache(capacity);
  },
};
const cache = open[policy]();
let requests = 0, misses = 0, bytes = 0, missed = 0;
for (const line of readFileSync(0, "utf8").split("\n")) {
  if (!line) continue;
  const [, key, sizeText] = line.split(",");
  const size = Number(sizeText);
  requests++;
  bytes += size;
  if (cache.get(key) == null) {
    misses++;
    missed += size;
    if (size <= capacity) cache.set(key, size);
  }
}
console.log(requests, misses, bytes, missed);
