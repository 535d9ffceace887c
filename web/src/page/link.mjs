/**
 * A pose in the address's hash: whole pixels and confidences, 16 bits each, as base64url.
 *
 * @typedef {{set: string, width: number, height: number, points: ArrayLike<number>}} Shared points: K x 3
 */

const CONFIDENCE = 1000;

/** @param {Shared} pose @returns {string} */
export function toHash({ set, width, height, points }) {
  const numbers = Int16Array.from([width, height, ...Array.from(points, (v, i) => Math.round(i % 3 === 2 ? v * CONFIDENCE : v))]);
  const text = btoa(String.fromCharCode(...new Uint8Array(numbers.buffer)));
  return `#p=${set}.${text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

/**
 * @param {string} hash
 * @param {Record<string, {base: number, names: string[]}>} sets
 * @returns {Shared | null} null where it holds no pose
 */
export function fromHash(hash, sets) {
  const [, set, text] = /^#p=([\w-]+)\.([\w-]+)$/.exec(hash) ?? [];
  if (!Object.hasOwn(sets, set ?? "") || text.length > 4000) return null;
  let bytes;
  try {
    bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  } catch {
    return null;
  }
  if (bytes.length % 2) return null;
  const [width, height, ...rest] = new Int16Array(bytes.buffer);
  const fits = rest.length === 3 * sets[set].base || rest.length === 3 * sets[set].names.length;
  if (!fits || width < 16 || height < 16) return null;
  return { set, width, height, points: rest.map((v, i) => (i % 3 === 2 ? Math.min(Math.max(v / CONFIDENCE, 0), 1) : v)) };
}
