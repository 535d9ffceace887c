/**
 * What is drawn in place of the bare surface: a plain fitted suit and shoes. Twin of openhmr.render.drape and shoes.
 *
 * @typedef {import("./body.mjs").Body} Body
 * @typedef {import("./body.mjs").Cap} Cap
 */
import { nearestRotation } from "./linear.mjs";

/**
 * Vertices (V x 3) as they are drawn, and their unit normals.
 * @param {Body} body
 * @param {Float32Array} vertices
 * @returns {{shown: Float32Array, normals: Float32Array}}
 */
export function dress(body, vertices) {
  const { cloth, loose, rounds, caps } = body.suit;
  const shown = Float32Array.from(vertices);
  const outward = vertexNormals(shown, body.faces);
  const mean = new Float32Array(3 * cloth.length);
  for (let round = 0; round < rounds; round++) {
    neighbourMeans(body, shown, mean);
    for (let k = 0; k < cloth.length; k++) {
      const v = 3 * cloth[k];
      let pull = 0;
      for (let c = 0; c < 3; c++) pull += (mean[3 * k + c] - shown[v + c]) * outward[v + c];
      pull = Math.max(pull, 0.4 * pull) * loose[k];
      for (let c = 0; c < 3; c++) shown[v + c] += outward[v + c] * pull;
    }
  }
  const turns = caps.map((cap) => putOn(cap, shown));
  const normals = vertexNormals(shown, body.faces);
  for (let round = 0; round < rounds; round++) {
    neighbourMeans(body, normals, mean);
    for (let k = 0; k < cloth.length; k++)
      for (let c = 0; c < 3; c++) normals[3 * cloth[k] + c] = mean[3 * k + c];
  }
  unit(normals);
  caps.forEach((cap, i) => polish(cap, normals, turns[i]));
  return { shown, normals };
}

/**
 * Unit normals (V x 3): area-weighted means over the incident faces.
 * @param {Float32Array} vertices
 * @param {ArrayLike<number>} faces
 * @returns {Float32Array}
 */
export function vertexNormals(vertices, faces) {
  const out = new Float32Array(vertices.length);
  for (let f = 0; f < faces.length; f += 3) {
    const [a, b, c] = [3 * faces[f], 3 * faces[f + 1], 3 * faces[f + 2]];
    const [ux, uy, uz] = [vertices[b] - vertices[a], vertices[b + 1] - vertices[a + 1], vertices[b + 2] - vertices[a + 2]];
    const [vx, vy, vz] = [vertices[c] - vertices[a], vertices[c + 1] - vertices[a + 1], vertices[c + 2] - vertices[a + 2]];
    const [x, y, z] = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
    for (const at of [a, b, c]) {
      out[at] += x;
      out[at + 1] += y;
      out[at + 2] += z;
    }
  }
  return unit(out);
}

/** @param {Float32Array} vectors made of length one in place @returns {Float32Array} */
function unit(vectors) {
  for (let i = 0; i < vectors.length; i += 3) {
    const [x, y, z] = [vectors[i], vectors[i + 1], vectors[i + 2]];
    const length = Math.max(Math.sqrt(x * x + y * y + z * z), 1e-20);
    vectors[i] = x / length;
    vectors[i + 1] = y / length;
    vectors[i + 2] = z / length;
  }
  return vectors;
}

/**
 * @param {Body} body
 * @param {Float32Array} values V x 3
 * @param {Float32Array} out means over the neighbours of each vertex under cloth
 */
function neighbourMeans(body, values, out) {
  const { cloth, neighbours } = body.suit;
  const count = neighbours.length / cloth.length;
  for (let k = 0; k < cloth.length; k++) {
    let [x, y, z] = [0, 0, 0];
    for (let i = k * count; i < (k + 1) * count; i++) {
      const v = 3 * neighbours[i];
      x += values[v];
      y += values[v + 1];
      z += values[v + 2];
    }
    out[3 * k] = x / count;
    out[3 * k + 1] = y / count;
    out[3 * k + 2] = z / count;
  }
}

/**
 * Move the vertices under a toe cap onto it, in place, where the foot is: the similarity of both point sets.
 * @param {Cap} cap
 * @param {Float32Array} vertices
 * @returns {Float64Array} how the cap was turned
 */
function putOn({ vertices: ids, rest, cap, fade }, vertices) {
  const n = ids.length;
  const [from, to] = [[0, 0, 0], [0, 0, 0]];
  for (let i = 0; i < n; i++)
    for (let c = 0; c < 3; c++) {
      from[c] += rest[3 * i + c] / n;
      to[c] += vertices[3 * ids[i] + c] / n;
    }
  const moment = new Float64Array(9);
  let variance = 0;
  for (let i = 0; i < n; i++)
    for (let r = 0; r < 3; r++) {
      variance += (rest[3 * i + r] - from[r]) ** 2;
      for (let c = 0; c < 3; c++)
        moment[3 * r + c] += (vertices[3 * ids[i] + r] - to[r]) * (rest[3 * i + c] - from[c]);
    }
  const R = nearestRotation(moment);
  const scale = R.reduce((sum, value, k) => sum + value * moment[k], 0) / Math.max(variance, 1e-12);
  for (let i = 0; i < n; i++)
    for (let r = 0; r < 3; r++) {
      let goal = to[r];
      for (let c = 0; c < 3; c++) goal += scale * R[3 * r + c] * (cap[3 * i + c] - from[c]);
      vertices[3 * ids[i] + r] += fade[i] * (goal - vertices[3 * ids[i] + r]);
    }
  return R;
}

/**
 * @param {Cap} cap
 * @param {Float32Array} normals
 * @param {Float64Array} R
 */
function polish({ vertices: ids, normals: own, fade }, normals, R) {
  for (let i = 0; i < ids.length; i++) {
    const at = 3 * ids[i];
    const mixed = [0, 1, 2].map((r) => {
      let goal = 0;
      for (let c = 0; c < 3; c++) goal += R[3 * r + c] * own[3 * i + c];
      return normals[at + r] + fade[i] * (goal - normals[at + r]);
    });
    const length = Math.max(Math.hypot(...mixed), 1e-12);
    for (let r = 0; r < 3; r++) normals[at + r] = mixed[r] / length;
  }
}
