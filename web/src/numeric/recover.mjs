/**
 * I2L-MeshNet: what the image network says of a crop, to a placed body. Twin of openhmr.predict.recover.
 *
 * @typedef {import("./body.mjs").Body} Body
 * @typedef {import("./body_fit.mjs").BodyFit} BodyFit
 * @typedef {import("./camera.mjs").Camera} Camera
 * @typedef {import("./crop.mjs").Square} Square
 * @typedef {import("./skinning.mjs").Rig} Rig
 * @typedef {Record<"joints_lixel" | "joints_sigma" | "vertices_lixel" | "vertices_sigma" | "scale_m" |
 *   "rotations" | "betas", Float32Array>} Outputs of one crop
 * @typedef {{vertices: Float32Array, rig: Rig, pose: Float32Array, sigma: Float32Array}} Recovered
 */
import { NEAR_M } from "./camera.mjs";
import { DEPTH_M, LIXELS, virtualCamera } from "./crop.mjs";
import { multiply3, transpose3 } from "./linear.mjs";
import { skin } from "./skinning.mjs";

const HALF_CONFIDENCE_M = 0.1;

/**
 * @param {Outputs} out
 * @param {Square} square
 * @param {Camera} camera
 * @param {Body} body
 * @param {BodyFit} fit
 * @returns {Recovered}
 */
export function place(out, square, camera, body, fit) {
  const { rotation, focal } = virtualCamera(square, camera);
  const scale = out.scale_m[0];
  let root = (scale * focal) / (square[2] / LIXELS);
  for (let i = 2; i < out.vertices_lixel.length; i += 3) root = Math.max(root, NEAR_M - depth(out.vertices_lixel[i]));
  const coarse = restore(out.vertices_lixel, square, rotation, root, camera);
  const step = [scale, scale, DEPTH_M / LIXELS];
  const sigma = out.vertices_sigma.map((value, i) => value * step[i % 3]);
  const turned = Float64Array.from(out.rotations);
  turned.set(multiply3(transpose3(rotation), turned), 0);
  const rig = fit.fit(coarse, sigma, turned, out.betas);
  const vertices = skin(body, rig);
  let nearest = Infinity;
  for (let i = 2; i < vertices.length; i += 3) nearest = Math.min(nearest, vertices[i]);
  if (nearest < NEAR_M) {
    for (let i = 2; i < vertices.length; i += 3) vertices[i] += NEAR_M - nearest;
    rig.translation[2] += NEAR_M - nearest;
  }
  return { vertices, rig, pose: pose2d(out, square), sigma: spread(sigma, body) };
}

/**
 * Deviations (V x 3, metres) of the body's vertices from those of the coarse ones, within these.
 * @param {Float32Array} sigma
 * @param {Body} body
 * @returns {Float32Array}
 */
function spread(sigma, body) {
  const [low, high] = [[Infinity, Infinity, Infinity], [0, 0, 0]];
  sigma.forEach((value, i) => {
    low[i % 3] = Math.min(low[i % 3], value);
    high[i % 3] = Math.max(high[i % 3], value);
  });
  return body.upsample(sigma).map((value, i) => Math.min(Math.max(value, low[i % 3]), high[i % 3]));
}

/** @param {number} lixel metres behind the pelvis @returns {number} */
function depth(lixel) {
  return (lixel / LIXELS - 0.5) * DEPTH_M;
}

/**
 * Camera coordinates in metres of lixels: each lies on the ray through its own pixel.
 * @param {Float32Array} lixels
 * @param {Square} square
 * @param {Float64Array} R
 * @param {number} root
 * @param {Camera} camera
 * @returns {Float64Array}
 */
function restore(lixels, square, R, root, camera) {
  const out = new Float64Array(lixels.length);
  for (let i = 0; i < out.length; i += 3) {
    const x = (square[0] + (lixels[i] / LIXELS - 0.5) * square[2] - camera.cx) / camera.fx;
    const y = (square[1] + (lixels[i + 1] / LIXELS - 0.5) * square[2] - camera.cy) / camera.fy;
    const t = (root + depth(lixels[i + 2])) / Math.max(R[6] * x + R[7] * y + R[8], 0.05);
    out[i] = x * t;
    out[i + 1] = y * t;
    out[i + 2] = t;
  }
  return out;
}

/**
 * The network's own 2D joints in pixels, with a confidence from their spread.
 * @param {Outputs} out
 * @param {Square} square
 * @returns {Float32Array}
 */
function pose2d(out, square) {
  const pose = new Float32Array(out.joints_lixel.length);
  for (let i = 0; i < pose.length; i += 3) {
    const wide = Math.sqrt((out.joints_sigma[i] ** 2 + out.joints_sigma[i + 1] ** 2) / 2) * out.scale_m[0];
    for (const c of [0, 1]) pose[i + c] = square[c] + (out.joints_lixel[i + c] / LIXELS - 0.5) * square[2];
    pose[i + 2] = Math.max(1 / (1 + (wide / HALF_CONFIDENCE_M) ** 2), 0.01);
  }
  return pose;
}
