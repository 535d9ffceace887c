/**
 * Poses as networks take them: which joints are missing, how sure the others are, and joints that nobody annotates.
 * Twin of openhmr.io.poses.check and JointSet.complete.
 *
 * @typedef {import("./body.mjs").JointSet} JointSet
 */

const SURE = 0.9;
const FAINT = 1e-3;

/**
 * A pose (K x 3: x, y, confidence in [0, 1]) whose largest confidence is at least 0.9, and whose missing joints are 0.
 * @param {ArrayLike<number>} points
 * @returns {Float64Array}
 */
export function checked(points) {
  const out = Float64Array.from(points);
  let largest = 0;
  for (let i = 2; i < out.length; i += 3) largest = Math.max(largest, out[i]);
  const scale = largest > 0 && largest < SURE ? SURE / largest : 1;
  for (let i = 0; i < out.length; i += 3)
    if (out[i + 2] > FAINT * largest) out[i + 2] *= scale;
    else out.fill(0, i, i + 3);
  return out;
}

/**
 * Points (K x 3: x, y, confidence) of the base joints with the derived ones appended: the mean of their sources,
 * confidence included, if all of these are present, otherwise 0.
 * @param {ArrayLike<number>} points
 * @param {JointSet} set
 * @returns {Float32Array}
 */
export function complete(points, set) {
  const out = new Float64Array(3 * set.names.length);
  out.set(checked(points));
  if (points.length >= out.length) return Float32Array.from(out);
  for (const [joint, sources] of set.derived) {
    const all = sources.every((s) => out[3 * s + 2] > 0);
    for (let c = 0; c < 3; c++)
      out[3 * joint + c] = all ? sources.reduce((sum, s) => sum + out[3 * s + c], 0) / sources.length : 0;
  }
  return Float32Array.from(out);
}
