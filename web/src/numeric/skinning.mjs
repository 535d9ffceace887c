/**
 * Linear blend skinning of the open body, which has no pose correctives. Twin of openhmr.bodies.skinning.
 *
 * @typedef {import("./body.mjs").Body} Body
 * @typedef {{rotations: Float64Array, betas: Float64Array, translation: [number, number, number]}} Rig rotations:
 *   joints x 3 x 3, relative to the parent
 */
import { rows } from "./body.mjs";
import { multiply3 } from "./linear.mjs";

/**
 * Rotations (J x 3 x 3) in the root's frame from those relative to the parents.
 * @param {Float64Array} local
 * @param {ArrayLike<number>} parents
 * @returns {Float64Array}
 */
export function worldRotations(local, parents) {
  const world = Float64Array.from(local);
  for (let j = 1; j < parents.length; j++) world.set(multiply3(world, local, 9 * parents[j], 9 * j), 9 * j);
  return world;
}

/**
 * Vertices (V x 3) of the T-pose with these betas.
 * @param {Body} body
 * @param {ArrayLike<number>} betas
 * @returns {Float64Array}
 */
export function shaped(body, betas) {
  const [out, S] = [Float64Array.from(body.template), body.numBetas];
  for (let i = 0; i < out.length; i++)
    for (let s = 0; s < S; s++) out[i] += body.shapes[i * S + s] * betas[s];
  return out;
}

/**
 * Joints (J x 3) of the T-pose with these betas.
 * @param {Body} body
 * @param {ArrayLike<number>} betas
 * @returns {Float64Array}
 */
export function restJoints(body, betas) {
  return rows(body.jointRegressor, shaped(body, betas), new Float64Array(3 * body.numJoints));
}

/**
 * Joints (J x 3) of the tree with these world rotations, from those at rest.
 * @param {Float64Array} world
 * @param {Float64Array} rest
 * @param {ArrayLike<number>} parents
 * @returns {Float64Array}
 */
export function posedJoints(world, rest, parents) {
  const out = Float64Array.from(rest);
  for (let j = 1; j < parents.length; j++) {
    const p = parents[j];
    for (let r = 0; r < 3; r++) {
      let sum = out[3 * p + r];
      for (let c = 0; c < 3; c++) sum += world[9 * p + 3 * r + c] * (rest[3 * j + c] - rest[3 * p + c]);
      out[3 * j + r] = sum;
    }
  }
  return out;
}

/**
 * Vertices (V x 3) in metres of a rig.
 * @param {Body} body
 * @param {Rig} rig
 * @returns {Float32Array}
 */
export function skin(body, rig) {
  const rest = shaped(body, rig.betas);
  const joints = rows(body.jointRegressor, rest, new Float64Array(3 * body.numJoints));
  const world = worldRotations(rig.rotations, body.parents);
  const posed = posedJoints(world, joints, body.parents);
  // Of each part its rotation and what it adds to turned vertices, row by row.
  const parts = new Float64Array(12 * body.numJoints);
  for (let j = 0; j < body.numJoints; j++)
    for (let r = 0; r < 3; r++) {
      let shift = posed[3 * j + r] + rig.translation[r];
      for (let c = 0; c < 3; c++) {
        parts[12 * j + 4 * r + c] = world[9 * j + 3 * r + c];
        shift -= world[9 * j + 3 * r + c] * joints[3 * j + c];
      }
      parts[12 * j + 4 * r + 3] = shift;
    }
  const { start, columns, values } = body.weights;
  const out = new Float32Array(rest.length);
  const blended = new Float64Array(12);
  for (let v = 0; v < body.numVertices; v++) {
    blended.fill(0);
    for (let k = start[v]; k < start[v + 1]; k++)
      for (let i = 0; i < 12; i++) blended[i] += values[k] * parts[12 * columns[k] + i];
    for (let r = 0; r < 3; r++)
      out[3 * v + r] =
        blended[4 * r] * rest[3 * v] + blended[4 * r + 1] * rest[3 * v + 1] +
        blended[4 * r + 2] * rest[3 * v + 2] + blended[4 * r + 3];
  }
  return out;
}
