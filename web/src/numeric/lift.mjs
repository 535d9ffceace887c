/**
 * Pose2Mesh: a 2D pose to a placed mesh. Twin of openhmr.predict.lift.
 *
 * @typedef {import("./body.mjs").Body} Body
 * @typedef {import("./body.mjs").JointSet} JointSet
 * @typedef {import("./camera.mjs").Camera} Camera
 * @typedef {{vertices: Float32Array, coarse: Float32Array, sigma: Float32Array | null,
 *   translation: [number, number, number], joints: Float64Array}} Lifted
 */
import { fitTranslation } from "./camera.mjs";
import { gazeRotation } from "./linear.mjs";

/**
 * The network's input (points x 3) of a pose (J x 3: x, y in pixels, confidence; 0 is missing), and the rotation of
 * the virtual camera that looks at the middle of its present joints.
 * @param {ArrayLike<number>} pose
 * @param {JointSet} set
 * @param {number} size how many points the network knows
 * @param {Camera} camera
 * @returns {{input: Float32Array, rotation: Float64Array}}
 */
export function lookAt(pose, set, size, camera) {
  const count = set.points.length;
  /** @type {(j: number) => [number, number]} */
  const ray = (j) => [(pose[3 * j] - camera.cx) / camera.fx, (pose[3 * j + 1] - camera.cy) / camera.fy];
  let [x, y, present] = [0, 0, 0];
  for (let j = 0; j < count; j++)
    if (pose[3 * j + 2] > 0) {
      const [u, v] = ray(j);
      x += u;
      y += v;
      present++;
    }
  const R = gazeRotation(x / present, y / present);
  const input = new Float32Array(3 * size);
  const [seen, mean] = [new Float64Array(2 * count), [0, 0]];
  for (let j = 0; j < count; j++) {
    if (!(pose[3 * j + 2] > 0)) continue;
    const [u, v] = ray(j);
    const z = Math.max(R[6] * u + R[7] * v + R[8], 0.05);
    for (const c of [0, 1]) {
      seen[2 * j + c] = Math.fround((R[3 * c] * u + R[3 * c + 1] * v + R[3 * c + 2]) / z);
      mean[c] += seen[2 * j + c] / present;
    }
  }
  let square = 0;
  for (let j = 0; j < count; j++)
    if (pose[3 * j + 2] > 0) for (const c of [0, 1]) square += (seen[2 * j + c] - mean[c]) ** 2;
  const scale = Math.sqrt(square / (2 * present));
  set.points.forEach((point, j) => {
    if (!(pose[3 * j + 2] > 0)) return;
    for (const c of [0, 1]) input[3 * point + c] = (seen[2 * j + c] - mean[c]) / scale;
    input[3 * point + 2] = pose[3 * j + 2];
  });
  return { input, rotation: R };
}

/**
 * The mesh before the camera from what the network says.
 * @param {{vertices: Float32Array, sigma?: Float32Array}} found
 * @param {Float64Array} rotation
 * @param {ArrayLike<number>} pose
 * @param {JointSet} set
 * @param {Camera} camera
 * @param {Body} body
 * @returns {Lifted}
 */
export function placed(found, rotation, pose, set, camera, body) {
  const R = rotation.map(Math.fround);
  const coarse = new Float32Array(found.vertices.length);
  for (let i = 0; i < coarse.length; i += 3)
    for (let c = 0; c < 3; c++)
      coarse[i + c] =
        found.vertices[i] * R[c] + found.vertices[i + 1] * R[3 + c] + found.vertices[i + 2] * R[6 + c];
  const joints = body.joints(coarse, set);
  const translation = fitTranslation(joints, pose, camera);
  const vertices = body.upsample(coarse);
  for (let i = 0; i < vertices.length; i++) vertices[i] += Math.fround(translation[i % 3]);
  for (let i = 0; i < coarse.length; i++) coarse[i] += Math.fround(translation[i % 3]);
  for (let i = 0; i < joints.length; i++) joints[i] += translation[i % 3];
  return { vertices, coarse, joints, translation, sigma: found.sigma ? vertexSigma(found.sigma, body) : null };
}

/**
 * Standard deviations (V x 3, metres) of vertices from those of the parts that they hang on.
 * @param {Float32Array} parts
 * @param {Body} body
 * @returns {Float32Array}
 */
export function vertexSigma(parts, body) {
  const { start, columns, values } = body.weights;
  const out = new Float32Array(3 * body.numVertices);
  for (let v = 0; v < body.numVertices; v++)
    for (let k = start[v]; k < start[v + 1]; k++)
      for (let c = 0; c < 3; c++) out[3 * v + c] += values[k] * parts[3 * columns[k] + c];
  return out;
}
