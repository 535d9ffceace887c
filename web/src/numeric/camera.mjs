/**
 * A pinhole camera, and where a pose stands before it. Camera axes x right, y down, z forward; pixels count from the
 * centre of the upper left one. Twins of openhmr.camera and openhmr.geometry.camera_fit.
 *
 * @typedef {{fx: number, fy: number, cx: number, cy: number, width: number, height: number}} Camera
 */

const FIELD_OF_VIEW = (52 * Math.PI) / 180;
export const NEAR_M = 0.3;
const ROUNDS = 10;
const CAUCHY = 2.385 / 1.1774;

/**
 * Square pixels, the principal point in the picture's centre, and 52 degrees over the longer side unless a focal
 * length is known.
 * @param {number} width
 * @param {number} height
 * @param {number | null} [focal_px]
 * @returns {Camera}
 */
export function cameraOf(width, height, focal_px = null) {
  const focal = focal_px ?? (0.5 * Math.max(width, height)) / Math.tan(0.5 * FIELD_OF_VIEW);
  return { fx: focal, fy: focal, cx: (width - 1) / 2, cy: (height - 1) / 2, width, height };
}

/**
 * Size of a picture in whose middle the people (x, y, confidence a joint) stand.
 * @param {ArrayLike<number>} points
 * @returns {{width: number, height: number}}
 */
export function sizeAround(points) {
  const low = [Infinity, Infinity];
  const high = [-Infinity, -Infinity];
  for (let i = 0; i < points.length; i += 3)
    if (points[i + 2] > 0)
      for (const c of [0, 1]) {
        low[c] = Math.min(low[c], points[i + c]);
        high[c] = Math.max(high[c], points[i + c]);
      }
  const least = 0.1 * Math.max(high[0] - low[0], high[1] - low[1]);
  const [width, height] = [0, 1].map((c) => Math.max(1, Math.ceil(high[c] + Math.max(low[c], least))));
  return { width, height };
}

/**
 * Translation in metres such that points + translation project onto pixels: linear least squares, then robust
 * Gauss-Newton steps with Cauchy's weights.
 * @param {ArrayLike<number>} points J x 3 metres, camera axes
 * @param {ArrayLike<number>} pixels J x 3: x, y, confidence
 * @param {Camera} camera
 * @returns {[number, number, number]}
 */
export function fitTranslation(points, pixels, camera) {
  const count = points.length / 3;
  const uv = new Float64Array(2 * count);
  const w = new Float64Array(count);
  let nearest = -Infinity;
  for (let j = 0; j < count; j++) {
    uv[2 * j] = (pixels[3 * j] - camera.cx) / camera.fx;
    uv[2 * j + 1] = (pixels[3 * j + 1] - camera.cy) / camera.fy;
    w[j] = pixels[3 * j + 2];
    nearest = Math.max(nearest, NEAR_M - points[3 * j + 2]);
  }
  const right = new Float64Array(2 * count);
  for (let j = 0; j < count; j++)
    for (const c of [0, 1]) right[2 * j + c] = w[j] * (uv[2 * j + c] * points[3 * j + 2] - points[3 * j + c]);
  let t = solveArrow(w, uv, right);
  if (t[2] < nearest) t = weakPerspective(points, uv, w);
  t[2] = Math.max(t[2], nearest);
  const present = w.filter((v) => v > 0).length;
  const middle = (present - 1) >> 1;
  const projected = new Float64Array(2 * count);
  const squared = new Float64Array(count);
  const robust = new Float64Array(count);
  for (let round = 0; round < ROUNDS; round++) {
    for (let j = 0; j < count; j++) {
      const depth = points[3 * j + 2] + t[2];
      squared[j] = 0;
      for (const c of [0, 1]) {
        projected[2 * j + c] = (points[3 * j + c] + t[c]) / depth;
        squared[j] += (uv[2 * j + c] - projected[2 * j + c]) ** 2;
      }
    }
    const median = squared.filter((_, j) => w[j] > 0).sort()[middle];
    for (let j = 0; j < count; j++) {
      const depth = points[3 * j + 2] + t[2];
      robust[j] = w[j] / (1 + squared[j] / (CAUCHY * CAUCHY * median + 1e-20)) / depth;
      for (const c of [0, 1]) right[2 * j + c] = robust[j] * (uv[2 * j + c] - projected[2 * j + c]);
      robust[j] /= depth;
    }
    const step = solveArrow(robust, projected, right);
    for (const c of [0, 1, 2]) t[c] += step[c];
    t[2] = Math.max(t[2], nearest);
  }
  return t;
}

/**
 * Least squares with rows (1, 0, -u) and (0, 1, -v).
 * @param {Float64Array} w
 * @param {Float64Array} uv
 * @param {Float64Array} right
 * @returns {[number, number, number]}
 */
function solveArrow(w, uv, right) {
  let [total, mu, mv, bu, bv] = [0, 0, 0, 0, 0];
  for (let j = 0; j < w.length; j++) {
    total += w[j];
    mu += w[j] * uv[2 * j];
    mv += w[j] * uv[2 * j + 1];
    bu += right[2 * j];
    bv += right[2 * j + 1];
  }
  mu /= total;
  mv /= total;
  let [pivot, side] = [0, 0];
  for (let j = 0; j < w.length; j++) {
    const [du, dv] = [uv[2 * j] - mu, uv[2 * j + 1] - mv];
    pivot += w[j] * (uv[2 * j] * du + uv[2 * j + 1] * dv);
    side -= right[2 * j] * du + right[2 * j + 1] * dv;
  }
  const z = side / Math.max(pivot, 1e-15);
  return [bu / total + mu * z, bv / total + mv * z, z];
}

/**
 * @param {ArrayLike<number>} points
 * @param {Float64Array} uv
 * @param {Float64Array} w
 * @returns {[number, number, number]}
 */
function weakPerspective(points, uv, w) {
  let total = 0;
  const mean = [0, 0, 0, 0];
  for (let j = 0; j < w.length; j++) {
    total += w[j];
    for (const c of [0, 1]) {
      mean[c] += w[j] * points[3 * j + c];
      mean[2 + c] += w[j] * uv[2 * j + c];
    }
  }
  for (const k of [0, 1, 2, 3]) mean[k] /= total;
  let [covariance, variance, square] = [0, 0, 0];
  for (let j = 0; j < w.length; j++)
    for (const c of [0, 1]) {
      const [a, b] = [points[3 * j + c] - mean[c], uv[2 * j + c] - mean[2 + c]];
      covariance += w[j] * a * b;
      variance += w[j] * a * a;
      square += w[j] * b * b;
    }
  variance = Math.max(variance, 1e-12);
  const spread = Math.sqrt(square / variance);
  const s = covariance > 0.1 * spread * variance ? covariance / variance : Math.max(spread, 1e-9);
  return [(mean[2] - s * mean[0]) / s, (mean[3] - s * mean[1]) / s, 1 / s];
}
