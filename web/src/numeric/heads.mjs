/**
 * People from the maps of MoveNet MultiPose. Twin of openhmr.predict.detect.heads.
 *
 * @typedef {{points: Float64Array, box: [number, number, number, number], score: number}} Find points: 17 x 3
 * @typedef {Record<"centre" | "box_size" | "box_offset" | "heat" | "displacement" | "offset", Float32Array>} Maps
 *   channels x rows x columns
 */

export const JOINTS = 17;
const CELL_PX = 4;
const PEAK_CELLS = 5;
const PEAK_EQUAL = 1.0132789611816406e-6;
const WINDOW = 0.300048828125;
const SEEN = 0.126953125;

/**
 * The people of one picture's maps, the best first, in pixels of the network's input.
 * @param {Maps} maps
 * @param {number} rows
 * @param {number} columns
 * @param {number} most
 * @param {number} least
 * @returns {Find[]}
 */
export function decode(maps, rows, columns, most, least) {
  const cells = rows * columns;
  const found = peaks(maps.centre, rows, columns, most, least);
  const spread = Math.min(rows, columns) * WINDOW;
  const finds = found.map(({ cell, value }) => {
    const [y, x] = [Math.floor(cell / columns), cell % columns];
    /** @type {number[]} */
    const low = [];
    /** @type {number[]} */
    const high = [];
    [y, x].forEach((here, axis) => {
      const half = 0.5 * Math.max(maps.box_size[axis * cells + cell], 0);
      const middle = here + maps.box_offset[axis * cells + cell];
      const limit = axis ? columns : rows;
      low[axis] = Math.min(Math.max(middle - half, 0), limit);
      high[axis] = Math.min(Math.max(middle + half, 0), limit);
    });
    const at = new Int32Array(JOINTS);
    /** @type {Float32Array[][]} how much the heat of a joint counts along y and along x */
    const windows = [];
    for (let joint = 0; joint < JOINTS; joint++) {
      const along = [rows, columns].map((length, axis) => {
        const expected = (axis ? x : y) + maps.displacement[(2 * joint + axis) * cells + cell];
        return Float32Array.from({ length }, (_, i) =>
          i >= low[axis] && i < high[axis] ? Math.exp(-((i - expected) ** 2) / spread) : 0);
      });
      windows.push(along);
      let best = -1;
      for (let r = 0, k = 0; r < rows; r++)
        for (let c = 0; c < columns; c++, k++) {
          const heat = weighted(maps.heat[joint * cells + k], along, r, c);
          if (heat > best) [best, at[joint]] = [heat, k];
        }
    }
    return { at, windows, low, high, value };
  });
  return finds.map(({ at, low, high, value }) => {
    const points = new Float64Array(3 * JOINTS);
    let [sum, seen] = [0, 0];
    at.forEach((k, joint) => {
      const [r, c] = [Math.floor(k / columns), k % columns];
      let confidence = 0;
      for (const { windows } of finds)
        confidence = Math.max(confidence, weighted(maps.heat[joint * cells + k], windows[joint], r, c));
      points[3 * joint] = CELL_PX * (c + maps.offset[(2 * joint + 1) * cells + k]) - 0.5;
      points[3 * joint + 1] = CELL_PX * (r + maps.offset[2 * joint * cells + k]) - 0.5;
      points[3 * joint + 2] = confidence;
      if (confidence > SEEN) [sum, seen] = [sum + confidence, seen + 1];
    });
    return {
      points,
      box: [CELL_PX * low[1], CELL_PX * low[0], CELL_PX * (high[1] - low[1]), CELL_PX * (high[0] - low[0])],
      score: (value * sum) / Math.max(seen, 1),
    };
  });
}

/** @type {(heat: number, along: Float32Array[], r: number, c: number) => number} */
function weighted(heat, along, r, c) {
  return Math.fround(Math.fround(heat * along[0][r]) * along[1][c]);
}

/**
 * @param {Float32Array} centre
 * @param {number} rows
 * @param {number} columns
 * @param {number} most
 * @param {number} least
 * @returns {{cell: number, value: number}[]}
 */
function peaks(centre, rows, columns, most, least) {
  const reach = Math.floor(PEAK_CELLS / 2);
  const out = [];
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) {
      const value = centre[r * columns + c];
      if (!(value > least)) continue;
      let largest = -Infinity;
      for (let i = Math.max(r - reach, 0); i <= Math.min(r + reach, rows - 1); i++)
        for (let j = Math.max(c - reach, 0); j <= Math.min(c + reach, columns - 1); j++)
          largest = Math.max(largest, centre[i * columns + j]);
      if (largest - value < PEAK_EQUAL) out.push({ cell: r * columns + c, value });
    }
  return out.sort((a, b) => b.value - a.value).slice(0, most);
}
