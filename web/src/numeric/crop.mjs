/**
 * Square crops around people. Twin of openhmr.predict.person_crop; sampling as OpenCV does it.
 *
 * @typedef {import("./camera.mjs").Camera} Camera
 * @typedef {[number, number, number]} Square centre x, y and side in pixels
 * @typedef {[number, number, number, number]} Box x, y, width, height in pixels
 * @typedef {{data: Uint8ClampedArray | Uint8Array, width: number, height: number}} Image RGBA
 */
import { gazeRotation } from "./linear.mjs";

const f32 = Math.fround;
export const PATCH = 256;
export const LIXELS = 64;
export const DEPTH_M = 2;
const ENLARGE = 1.25;

/**
 * @param {Box} box
 * @returns {Square}
 */
export function squareOf([x, y, width, height]) {
  return [x + width / 2, y + height / 2, Math.max(width, height) * ENLARGE];
}

/**
 * Network input (3 x 256 x 256, RGB in [0, 1]) of a square: bilinear, black outside the picture; large squares are
 * averaged down by a whole factor first.
 * @param {Image} image
 * @param {Square} square
 * @returns {Float32Array}
 */
export function cut(image, [x, y, side]) {
  const factor = Math.max(1, roundHalfEven(side / PATCH));
  const low = [x, y].map((c) => Math.max(Math.floor(c - side / 2) - factor, 0));
  const high = [x, y].map((c, axis) =>
    Math.min(Math.ceil(c + side / 2) + factor + 1, axis ? image.height : image.width));
  const part = averaged(image, low[0], low[1], high[0] - low[0], high[1] - low[1], factor);
  const out = new Float32Array(3 * PATCH * PATCH);
  if (part.width <= 0 || part.height <= 0) return out;
  // In single precision, as OpenCV counts: x with one rounding, y with two. Rounding decides which of two levels a
  // pixel gets, and a few levels move a mesh by a tenth of a millimetre.
  const zoom = (PATCH * factor) / side;
  const inverse = zoom * (1 / (zoom * zoom));
  const step = f32(inverse);
  const start = [x, y].map((c, axis) =>
    f32(-inverse * (PATCH / 2 - zoom * ((c - low[axis] + 0.5) / factor - 0.5))));
  const { data, width, height } = part;
  /** @type {(column: number, row: number, c: number) => number} */
  const at = (column, row, c) =>
    column < 0 || row < 0 || column >= width || row >= height ? 0 : data[3 * (row * width + column) + c];
  for (let v = 0; v < PATCH; v++) {
    const sy = f32(f32(step * v) + start[1]);
    const row = Math.floor(sy);
    const b = sy - row;
    if (row < -1 || row >= height) continue;
    for (let u = 0; u < PATCH; u++) {
      const sx = f32(start[0] + step * u);
      const column = Math.floor(sx);
      if (column < -1 || column >= width) continue;
      const a = sx - column;
      for (let c = 0; c < 3; c++) {
        const [p, q] = [at(column, row, c), at(column, row + 1, c)];
        const top = f32(p + a * (at(column + 1, row, c) - p));
        const bottom = f32(q + a * (at(column + 1, row + 1, c) - q));
        out[(c * PATCH + v) * PATCH + u] = roundHalfEven(f32(top + b * (bottom - top))) / 255;
      }
    }
  }
  return out;
}

/**
 * A part of the picture as RGB, whole blocks of factor x factor pixels averaged; the last ones are filled by
 * repeating the edge.
 * @param {Image} image
 * @param {number} left
 * @param {number} top
 * @param {number} width
 * @param {number} height
 * @param {number} factor
 * @returns {{data: Uint8Array, width: number, height: number}}
 */
function averaged(image, left, top, width, height, factor) {
  const [columns, rows, area] = [Math.ceil(width / factor), Math.ceil(height / factor), factor * factor];
  // As OpenCV rounds: halves go up in blocks of 2 x 2, to even numbers in others.
  /** @type {(sum: number) => number} */
  const mean = factor === 2 ? (sum) => (sum + 2) >> 2 : (sum) => roundHalfEven(sum / area);
  const data = new Uint8Array(Math.max(0, 3 * columns * rows));
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      let [r, g, b] = [0, 0, 0];
      for (let i = 0; i < factor; i++) {
        const line = (top + Math.min(row * factor + i, height - 1)) * image.width + left;
        for (let j = 0; j < factor; j++) {
          const p = 4 * (line + Math.min(column * factor + j, width - 1));
          r += image.data[p];
          g += image.data[p + 1];
          b += image.data[p + 2];
        }
      }
      const at = 3 * (row * columns + column);
      data[at] = mean(r);
      data[at + 1] = mean(g);
      data[at + 2] = mean(b);
    }
  return { data, width: columns, height: rows };
}

/**
 * Python's round.
 * @param {number} x
 * @returns {number}
 */
export function roundHalfEven(x) {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 ? floor + 1 : floor;
}

/**
 * The camera that looks at a crop's centre: its rotation, and the focal length in pixels at which a metre across its
 * gaze appears in the picture.
 * @param {Square} square
 * @param {Camera} camera
 * @returns {{rotation: Float64Array, focal: number}}
 */
export function virtualCamera([px, py], camera) {
  const [x, y] = [(px - camera.cx) / camera.fx, (py - camera.cy) / camera.fy];
  return { rotation: gazeRotation(x, y), focal: camera.fx * Math.sqrt(1 + x * x + y * y) };
}
