/**
 * Everybody in a picture: where the detector looks. Twin of openhmr.predict.detect.movenet.
 *
 * @typedef {import("./crop.mjs").Image} Image
 * @typedef {import("./crop.mjs").Square} Square
 * @typedef {import("./heads.mjs").Find} Find
 * @typedef {(square: Square) => Promise<Find[]>} Look finds in a square of the picture, in the network's pixels
 */
import { PATCH } from "./crop.mjs";
import { JOINTS } from "./heads.mjs";

const FOUND = 0.18;
export const CANDIDATE = 0.1;
const ROOMS = [1.5, 2];
const SMALLEST_PX = 8;
const SMALL = 0.3;
const LEVELS = 2;
const STEP = 2 / 3;
const EDGE_PX = 4;
const NEAR = 0.2;
const SAME = 0.5;
export const MOST = 20;
const MAX_BOXES = 100;

/**
 * Everybody in a picture, the best seen first.
 * @param {{width: number, height: number}} size
 * @param {Look} look
 * @param {{quick?: boolean}} [how] quick: one look at the whole picture, as in a video
 * @returns {Promise<Find[]>}
 */
export async function detect(size, look, { quick = false } = {}) {
  /** @type {Look} */
  const at = async (square) => (await look(square)).map((find) => inPicture(find, square));
  const finds = quick ? await whole(size, at) : await again(await first(size, at), at);
  return distinct(finds, FOUND).slice(0, MAX_BOXES).map((find) => ({
    ...find, points: find.points.map((v, i) => (i % 3 === 2 ? Math.min(Math.max(v, 0), 1) : v)),
  }));
}

/**
 * @param {Find} find
 * @param {Square} square
 * @returns {Find}
 */
function inPicture({ points, box, score }, [x, y, side]) {
  const [zoom, left, top] = [side / PATCH, x - side / 2, y - side / 2];
  return {
    points: points.map((v, i) => (i % 3 === 0 ? left + v * zoom : i % 3 === 1 ? top + v * zoom : v)),
    box: [left + box[0] * zoom, top + box[1] * zoom, box[2] * zoom, box[3] * zoom],
    score,
  };
}

/**
 * @param {{width: number, height: number}} size
 * @param {Look} at
 */
function whole(size, at) {
  return at([(size.width - 1) / 2, (size.height - 1) / 2, Math.max(size.width, size.height)]);
}

/**
 * Candidates in the whole picture and, while nobody large is found, in parts half as large.
 * @param {{width: number, height: number}} size
 * @param {Look} at
 * @returns {Promise<Find[]>}
 */
async function first(size, at) {
  let side = Math.max(size.width, size.height);
  let finds = await whole(size, at);
  for (let level = 0; level < LEVELS; level++) {
    const largest = Math.max(0, ...finds.filter((f) => f.score > FOUND).map((f) => Math.max(f.box[2], f.box[3])));
    if (side < 2 * PATCH || largest > SMALL * side) break;
    side /= 2;
    for (const part of parts(size, side))
      finds = finds.concat((await at(part)).filter((f) => f.score > FOUND && inside(f.box, part, size)));
  }
  return distinct(finds, CANDIDATE);
}

/**
 * Every candidate in the best of all looks; who is not found again keeps half the score.
 * @param {Find[]} candidates
 * @param {Look} at
 * @returns {Promise<Find[]>}
 */
async function again(candidates, at) {
  const out = [];
  for (const candidate of candidates) {
    const [x, y, width, height] = candidate.box;
    let [best, score] = [candidate, 0];
    for (const room of ROOMS)
      for (const find of await at([x + width / 2, y + height / 2, Math.max(width, height, SMALLEST_PX) * room]))
        if (find.score > score && alike(candidate, find) > SAME) {
          score = find.score;
          if (score > candidate.score) best = find;
        }
    out.push({ ...best, score: (candidate.score + score) / 2 });
  }
  return out;
}

/**
 * Squares that overlap and cover the picture.
 * @param {{width: number, height: number}} size
 * @param {number} side
 * @returns {Square[]}
 */
function parts(size, side) {
  const [xs, ys] = [size.width, size.height].map((length) => {
    const count = 1 + Math.ceil(Math.max(length - side, 0) / (STEP * side));
    const [start, span] = length > side ? [side, length - side] : [length, 0];
    return Array.from({ length: count }, (_, i) => start / 2 + (count > 1 ? (span * i) / (count - 1) : 0) - 0.5);
  });
  return ys.flatMap((y) => xs.map((x) => /** @type {Square} */ ([x, y, side])));
}

/**
 * Whether a box is not cut off by an edge of a part within the picture.
 * @param {Find["box"]} box
 * @param {Square} part
 * @param {{width: number, height: number}} size
 */
function inside(box, part, size) {
  const edge = (EDGE_PX * part[2]) / PATCH;
  return [0, 1].every((c) => {
    const [low, high] = [part[c] - part[2] / 2, part[c] + part[2] / 2];
    const limit = (c ? size.height : size.width) - edge;
    return !(box[c] < low + edge && low > edge) && !(box[c] + box[2 + c] > high - edge && high < limit);
  });
}

/**
 * Share of the other's keypoints, weighted by confidence, that lie where the person's do.
 * @param {Find} person
 * @param {Find} other
 * @returns {number}
 */
function alike(person, other) {
  const reach = NEAR * Math.sqrt(person.box[2] * person.box[3]);
  let [same, total] = [0, 0];
  for (let i = 0; i < 3 * JOINTS; i += 3) {
    const [a, b] = [person.points, other.points];
    const weight = Math.min(a[i + 2], b[i + 2]);
    total += weight;
    if (Math.hypot(a[i] - b[i], a[i + 1] - b[i + 1]) < reach) same += weight;
  }
  return same / Math.max(total, 1e-9);
}

/**
 * Different people, the best first: of several finds of one the best, none whose score is not above least.
 * @param {Find[]} finds
 * @param {number} least
 * @returns {Find[]}
 */
function distinct(finds, least) {
  /** @type {Find[]} */
  const out = [];
  for (const find of [...finds].sort((a, b) => b.score - a.score))
    if (find.score > least && find.score > 0 && out.every((other) => alike(other, find) <= SAME)) out.push(find);
  return out;
}
