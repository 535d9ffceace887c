/**
 * Small dense linear algebra, row by row in flat arrays.
 *
 * @typedef {Float64Array | Float32Array | number[]} Numbers
 */

/**
 * Shortest rotation (9 numbers) that turns the ray (x, y, 1) onto the optical axis.
 * @param {number} x
 * @param {number} y
 * @returns {Float64Array}
 */
export function gazeRotation(x, y) {
  const length = Math.sqrt(1 + x * x + y * y);
  const [u, v, w] = [x / length, y / length, 1 / length];
  return Float64Array.of(
    1 - (u * u) / (1 + w), (-u * v) / (1 + w), -u,
    (-u * v) / (1 + w), 1 - (v * v) / (1 + w), -v,
    u, v, w,
  );
}

/**
 * a b for two 3 x 3 matrices that begin at the given places.
 * @param {Numbers} a
 * @param {Numbers} b
 * @param {number} [i]
 * @param {number} [j]
 * @returns {Float64Array}
 */
export function multiply3(a, b, i = 0, j = 0) {
  const out = new Float64Array(9);
  for (let r = 0; r < 3; r++)
    for (let c = 0; c < 3; c++)
      out[3 * r + c] =
        a[i + 3 * r] * b[j + c] + a[i + 3 * r + 1] * b[j + 3 + c] + a[i + 3 * r + 2] * b[j + 6 + c];
  return out;
}

/**
 * Transpose of the 3 x 3 matrix that begins at i.
 * @param {Numbers} a
 * @param {number} [i]
 * @returns {Float64Array}
 */
export function transpose3(a, i = 0) {
  return Float64Array.of(a[i], a[i + 3], a[i + 6], a[i + 1], a[i + 4], a[i + 7], a[i + 2], a[i + 5], a[i + 8]);
}

/**
 * Rodrigues' formula: rotation matrix of an axis-angle vector in radians.
 * @param {number} x
 * @param {number} y
 * @param {number} z
 * @returns {Float64Array}
 */
export function axisAngleToMatrix(x, y, z) {
  const angle = Math.hypot(x, y, z);
  const s = angle < 1e-9 ? 0.5 : Math.sin(angle / 2) / angle;
  const [w, a, b, c] = [Math.cos(angle / 2), s * x, s * y, s * z];
  return Float64Array.of(
    w * w + a * a - b * b - c * c, 2 * a * b - 2 * w * c, 2 * w * b + 2 * a * c,
    2 * w * c + 2 * a * b, w * w - a * a + b * b - c * c, 2 * b * c - 2 * w * a,
    2 * a * c - 2 * w * b, 2 * w * a + 2 * b * c, w * w - a * a - b * b + c * c,
  );
}

/**
 * Unit quaternion (w, x, y, z), w >= 0, of the rotation that begins at i, from its largest component
 * (Shepperd 1978).
 * @param {Numbers} m
 * @param {number} [i]
 * @returns {[number, number, number, number]}
 */
export function matrixToQuaternion(m, i = 0) {
  const [a, b, c] = [m[i], m[i + 4], m[i + 8]];
  const [x, y, z] = [m[i + 7] - m[i + 5], m[i + 2] - m[i + 6], m[i + 3] - m[i + 1]];
  const [d, e, f] = [m[i + 3] + m[i + 1], m[i + 2] + m[i + 6], m[i + 7] + m[i + 5]];
  const rows = [
    [1 + a + b + c, x, y, z], [x, 1 + a - b - c, d, e], [y, d, 1 - a + b - c, f], [z, e, f, 1 - a - b + c],
  ];
  let best = 0;
  for (let k = 1; k < 4; k++) if (rows[k][k] > rows[best][best]) best = k;
  const q = rows[best];
  const scale = (q[0] < 0 ? -1 : 1) / Math.hypot(...q);
  return [q[0] * scale, q[1] * scale, q[2] * scale, q[3] * scale];
}

/**
 * Axis-angle vector, in radians, of the rotation that begins at i.
 * @param {Numbers} m
 * @param {number} [i]
 * @returns {[number, number, number]}
 */
export function axisAngle(m, i = 0) {
  const [w, x, y, z] = matrixToQuaternion(m, i);
  const sine = Math.hypot(x, y, z);
  const scale = sine > 0 ? (2 * Math.atan2(sine, w)) / sine : 2;
  return [x * scale, y * scale, z * scale];
}

/**
 * Solve A x = b in place for a symmetric positive definite A (n x n), by Cholesky's factors.
 * @param {Float64Array} A
 * @param {Float64Array} b
 * @returns {Float64Array} b, which holds x
 */
export function solveSymmetric(A, b) {
  const n = b.length;
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum = A[i * n + j];
      for (let k = 0; k < j; k++) sum -= A[i * n + k] * A[j * n + k];
      A[i * n + j] = i === j ? Math.sqrt(Math.max(sum, 1e-30)) : sum / A[j * n + j];
    }
  }
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) b[i] -= A[i * n + k] * b[k];
    b[i] /= A[i * n + i];
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) b[i] -= A[k * n + i] * b[k];
    b[i] /= A[i * n + i];
  }
  return b;
}

/**
 * The rotation nearest to a 3 x 3 moment, U V^T of its singular value decomposition with the smallest axis turned
 * where that is a reflection (Kabsch 1976): one-sided Jacobi rotations make the columns orthogonal.
 * @param {Numbers} moment
 * @returns {Float64Array}
 */
export function nearestRotation(moment) {
  const a = Float64Array.from(moment);
  const v = Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1);
  for (let sweep = 0; sweep < 30; sweep++) {
    let off = 0;
    for (const [p, q] of [[0, 1], [0, 2], [1, 2]]) {
      let [alpha, beta, gamma] = [0, 0, 0];
      for (let r = 0; r < 9; r += 3) {
        alpha += a[r + p] * a[r + p];
        beta += a[r + q] * a[r + q];
        gamma += a[r + p] * a[r + q];
      }
      if (gamma === 0) continue;
      off = Math.max(off, Math.abs(gamma) / Math.sqrt(alpha * beta));
      const zeta = (beta - alpha) / (2 * gamma);
      const t = Math.sign(zeta || 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
      const c = 1 / Math.sqrt(1 + t * t);
      for (const m of [a, v])
        for (let r = 0; r < 9; r += 3) {
          const x = m[r + p];
          m[r + p] = c * (x - t * m[r + q]);
          m[r + q] = c * (t * x + m[r + q]);
        }
    }
    if (off < 1e-15) break;
  }
  const size = [0, 1, 2].map((k) => Math.hypot(a[k], a[3 + k], a[6 + k]));
  const order = [0, 1, 2].sort((i, j) => size[j] - size[i]);
  const [i, j, k] = order;
  /** @type {(m: Float64Array, c: number, s: number) => number[]} */
  const column = (m, c, s) => [m[c] / s, m[3 + c] / s, m[6 + c] / s];
  const [u1, u2] = [column(a, i, size[i]), column(a, j, size[j])];
  // The third pair by right-handed products, so that U and V are rotations, and with them U V^T.
  const [u3, v3] = [cross(u1, u2), cross(column(v, i, 1), column(v, j, 1))];
  const [v1, v2] = [column(v, i, 1), column(v, j, 1)];
  const out = new Float64Array(9);
  for (let r = 0; r < 3; r++)
    for (let c = 0; c < 3; c++) out[3 * r + c] = u1[r] * v1[c] + u2[r] * v2[c] + u3[r] * v3[c];
  return out;
}

/**
 * @param {number[]} a
 * @param {number[]} b
 * @returns {number[]}
 */
export function cross(a, b) {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}
