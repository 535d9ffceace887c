/**
 * The body fitted to a mesh of its coarse level: Gauss-Newton over pose, shape and place. Twin of
 * openhmr.predict.body_fit.
 *
 * @typedef {import("./body.mjs").Body} Body
 * @typedef {import("./skinning.mjs").Rig} Rig
 */
import { axisAngle, axisAngleToMatrix, multiply3, nearestRotation, solveSymmetric, transpose3 } from "./linear.mjs";
import { posedJoints, worldRotations } from "./skinning.mjs";

const STEPS = 2;
const VERTICES = 300;
const SIGMA_M = 0.03;
const POSE_RAD = 0.5;
const BETAS = 0.3;
const MOST = 1.5;
const FREE = 1e-6;

export class BodyFit {
  /** @param {Body} body */
  constructor(body) {
    this.body = body;
    const [J, S] = [body.numJoints, body.numBetas];
    const stride = Math.max(1, Math.floor(body.coarseIds.length / VERTICES));
    /** Which coarse vertices are fitted to. */
    this.picked = Array.from(body.coarseIds.keys()).filter((i) => i % stride === 0);
    this.columns = 1 + S;
    // The mean shape, then what each beta adds: joints (J x 3 x 1 + S).
    this.joints = new Float64Array(J * 3 * this.columns);
    const { start, columns, values } = body.jointRegressor;
    for (let j = 0; j < J; j++)
      for (let k = start[j]; k < start[j + 1]; k++)
        for (let c = 0; c < 3; c++) {
          const [to, from] = [(3 * j + c) * this.columns, 3 * columns[k] + c];
          this.joints[to] += values[k] * body.template[from];
          for (let s = 0; s < S; s++) this.joints[to + 1 + s] += values[k] * body.shapes[from * S + s];
        }
  }

  /**
   * Rotations (J x 3 x 3) relative to the parents of a coarse mesh against the T-pose: each part's own vertices,
   * weighted by how far they go with it, turned best.
   * @param {ArrayLike<number>} mesh
   * @returns {Float64Array}
   */
  turns(mesh) {
    const { body } = this;
    const [J, { start, columns, values }] = [body.numJoints, body.weights];
    const [total, from, to] = [new Float64Array(J), new Float64Array(3 * J), new Float64Array(3 * J)];
    const moment = new Float64Array(9 * J);
    body.coarseIds.forEach((id, i) => {
      for (let k = start[id]; k < start[id + 1]; k++) {
        const [j, w] = [columns[k], values[k]];
        total[j] += w;
        for (let r = 0; r < 3; r++) {
          from[3 * j + r] += w * body.template[3 * id + r];
          to[3 * j + r] += w * mesh[3 * i + r];
          for (let c = 0; c < 3; c++)
            moment[9 * j + 3 * r + c] += w * mesh[3 * i + r] * body.template[3 * id + c];
        }
      }
    });
    const world = new Float64Array(9 * J);
    for (let j = 0; j < J; j++) {
      const m = new Float64Array(9);
      for (let r = 0; r < 3; r++)
        for (let c = 0; c < 3; c++)
          m[3 * r + c] =
            (moment[9 * j + 3 * r + c] - (to[3 * j + r] * from[3 * j + c]) / Math.max(total[j], 1e-9)) /
              Math.max(total[j], 1e-9) + (r === c ? 1e-9 : 0);
      world.set(nearestRotation(m), 9 * j);
    }
    const local = Float64Array.from(world);
    for (let j = 1; j < J; j++)
      local.set(multiply3(transpose3(world, 9 * body.parents[j]), world, 0, 9 * j), 9 * j);
    return local;
  }

  /**
   * The body nearest to a coarse mesh (metres) whose vertices deviate by sigma; rotations and betas are start and
   * prior.
   * @param {ArrayLike<number>} mesh
   * @param {ArrayLike<number> | null} sigma
   * @param {Float64Array} rotations
   * @param {ArrayLike<number>} betas
   * @returns {Rig}
   */
  fit(mesh, sigma, rotations, betas) {
    const { picked } = this;
    const [J, S] = [this.body.numJoints, this.columns - 1];
    const size = 3 * J + S + 3;
    const precision = picked.map((i) => {
      let sum = 0;
      for (let c = 0; c < 3; c++) sum += sigma ? sigma[3 * i + c] ** 2 / 3 : 0;
      return 1 / (SIGMA_M ** 2 + sum);
    });
    const local = Float64Array.from(rotations);
    const shape = Float64Array.from(betas);
    const shift = new Float64Array(3);
    for (let step = 0; step < STEPS; step++) {
      const { world, vertices, slope } = this.linearised(local, shape);
      const left = new Float64Array(3 * picked.length);
      const mean = new Float64Array(3);
      let total = 0;
      picked.forEach((i, p) => {
        total += precision[p];
        for (let c = 0; c < 3; c++) {
          left[3 * p + c] = mesh[3 * i + c] - vertices[3 * p + c] - shift[c];
          mean[c] += precision[p] * left[3 * p + c];
        }
      });
      if (step === 0)
        for (let c = 0; c < 3; c++) {
          shift[c] = mean[c] / total;
          for (let p = 0; p < picked.length; p++) left[3 * p + c] -= shift[c];
        }
      const { normal, right } = normalEquations(slope, left, precision, size);
      // Turns are about the mesh's axes, and so is the way back to the prior.
      const above = new Float64Array(9 * J);
      for (let j = 0; j < J; j++)
        if (j) above.set(world.subarray(9 * this.body.parents[j], 9 * this.body.parents[j] + 9), 9 * j);
        else above.set([1, 0, 0, 0, 1, 0, 0, 0, 1]);
      const back = this.wayBack(local, rotations, above, shape, betas);
      for (let k = 0; k < size; k++) {
        const sure = k < 3 ? FREE : k < 3 * J ? POSE_RAD ** -2 : k < 3 * J + S ? BETAS ** -2 : 0;
        normal[k * size + k] += sure;
        right[k] += sure * back[k];
      }
      const change = solveSymmetric(normal, right);
      for (let k = 0; k < size - 3; k++) change[k] = Math.min(Math.max(change[k], -MOST), MOST);
      for (let j = 0; j < J; j++) {
        const turn = axisAngleToMatrix(change[3 * j], change[3 * j + 1], change[3 * j + 2]);
        const up = above.subarray(9 * j, 9 * j + 9);
        const turned = multiply3(multiply3(transpose3(up), multiply3(turn, up)), local, 0, 9 * j);
        local.set(turned, 9 * j);
      }
      for (let s = 0; s < S; s++) shape[s] += change[3 * J + s];
      for (let c = 0; c < 3; c++) shift[c] += change[size - 3 + c];
    }
    return { rotations: local, betas: shape, translation: [shift[0], shift[1], shift[2]] };
  }

  /**
   * The way from the current pose and shape back to the prior.
   * @param {Float64Array} local
   * @param {Float64Array} rotations
   * @param {Float64Array} above
   * @param {Float64Array} shape
   * @param {ArrayLike<number>} betas
   * @returns {Float64Array}
   */
  wayBack(local, rotations, above, shape, betas) {
    const J = this.body.numJoints;
    const out = new Float64Array(3 * J + shape.length + 3);
    for (let j = 0; j < J; j++) {
      const turn = axisAngle(multiply3(rotations, transpose3(local, 9 * j), 9 * j));
      for (let r = 0; r < 3; r++)
        for (let c = 0; c < 3; c++) out[3 * j + r] += above[9 * j + 3 * r + c] * turn[c];
    }
    for (let s = 0; s < shape.length; s++) out[3 * J + s] = betas[s] - shape[s];
    return out;
  }

  /**
   * World rotations, the picked vertices (P x 3), and their derivatives (P x 3 x size) by turns of the joints, betas
   * and translation.
   * @param {Float64Array} local
   * @param {Float64Array} betas
   * @returns {{world: Float64Array, vertices: Float64Array, slope: Float64Array}}
   */
  linearised(local, betas) {
    const { body, picked, columns } = this;
    const [J, S, P] = [body.numJoints, columns - 1, picked.length];
    const size = 3 * J + S + 3;
    const world = worldRotations(local, body.parents);
    // Joints at rest, and their derivatives by the betas, column by column; then what skinning adds.
    const offsets = new Float64Array(J * 3 * columns);
    /** @type {Float64Array} */
    let posed = new Float64Array(0);
    for (let k = 0; k < columns; k++) {
      const rest = new Float64Array(3 * J);
      for (let i = 0; i < 3 * J; i++) {
        rest[i] = this.joints[i * columns + k];
        if (k === 0) for (let s = 0; s < S; s++) rest[i] += betas[s] * this.joints[i * columns + 1 + s];
      }
      const moved = posedJoints(world, rest, body.parents);
      if (k === 0) posed = moved;
      for (let j = 0; j < J; j++)
        for (let r = 0; r < 3; r++) {
          let sum = moved[3 * j + r];
          for (let c = 0; c < 3; c++) sum -= world[9 * j + 3 * r + c] * rest[3 * j + c];
          offsets[(3 * j + r) * columns + k] = sum;
        }
    }
    const vertices = new Float64Array(3 * P);
    const slope = new Float64Array(3 * P * size);
    const { start, columns: parts, values } = body.weights;
    const [share, carried] = [new Float64Array(3 * J), new Float64Array(J)];
    const blended = new Float64Array(9);
    picked.forEach((i, p) => {
      const id = body.coarseIds[i];
      const rest = [0, 1, 2].map((c) => {
        let sum = body.template[3 * id + c];
        for (let s = 0; s < S; s++) sum += betas[s] * body.shapes[(3 * id + c) * S + s];
        return sum;
      });
      share.fill(0);
      carried.fill(0);
      blended.fill(0);
      const out = 3 * p * size;
      for (let k = start[id]; k < start[id + 1]; k++) {
        const [j, w] = [parts[k], values[k]];
        const own = [0, 1, 2].map((r) => {
          let sum = offsets[(3 * j + r) * columns];
          for (let c = 0; c < 3; c++) sum += world[9 * j + 3 * r + c] * rest[c];
          return w * sum;
        });
        // What hangs on a joint moves with it.
        for (let a = j; a >= 0; a = body.parents[a]) {
          carried[a] += w;
          for (let r = 0; r < 3; r++) share[3 * a + r] += own[r];
        }
        for (let e = 0; e < 9; e++) blended[e] += w * world[9 * j + e];
        for (let r = 0; r < 3; r++)
          for (let s = 0; s < S; s++)
            slope[out + r * size + 3 * J + s] += w * offsets[(3 * j + r) * columns + 1 + s];
      }
      for (let r = 0; r < 3; r++) {
        vertices[3 * p + r] = share[r];
        for (let s = 0; s < S; s++)
          for (let c = 0; c < 3; c++)
            slope[out + r * size + 3 * J + s] += blended[3 * r + c] * body.shapes[(3 * id + c) * S + s];
        slope[out + r * size + size - 3 + r] = 1;
      }
      for (let j = 0; j < J; j++) {
        if (!carried[j]) continue;
        const arm = [0, 1, 2].map((r) => share[3 * j + r] - posed[3 * j + r] * carried[j]);
        for (let axis = 0; axis < 3; axis++) {
          const [x, y] = [(axis + 1) % 3, (axis + 2) % 3];
          slope[out + x * size + 3 * j + axis] = -arm[y];
          slope[out + y * size + 3 * j + axis] = arm[x];
        }
      }
    });
    return { world, vertices, slope };
  }
}

/**
 * @param {Float64Array} slope rows x size
 * @param {Float64Array} left rows
 * @param {number[]} precision one for each three rows
 * @param {number} size
 * @returns {{normal: Float64Array, right: Float64Array}}
 */
function normalEquations(slope, left, precision, size) {
  const [normal, right] = [new Float64Array(size * size), new Float64Array(size)];
  const used = new Int32Array(size);
  for (let row = 0; row < left.length; row++) {
    const [at, w] = [row * size, precision[Math.floor(row / 3)]];
    // Only the joints above a vertex move it.
    let count = 0;
    for (let k = 0; k < size; k++) if (slope[at + k]) used[count++] = k;
    for (let i = 0; i < count; i++) {
      const [a, value] = [used[i], w * slope[at + used[i]]];
      right[a] += value * left[row];
      for (let j = 0; j <= i; j++) normal[a * size + used[j]] += value * slope[at + used[j]];
    }
  }
  for (let i = 0; i < size; i++) for (let j = 0; j < i; j++) normal[j * size + i] = normal[i * size + j];
  return { normal, right };
}
