/**
 * Poses in JSON as detectors write them: COCO, OpenPose, MediaPipe.
 *
 * @typedef {{set: string, points: number[]}} Pose points: K x 3, x, y in pixels, confidence
 * @typedef {{poses: Pose[], width: number | null, height: number | null}} PoseFile
 */

const BY_COUNT = new Map([
  [17, "coco"], [19, "coco"], [18, "openpose18"], [25, "body25"], [23, "coco_feet"], [26, "halpe26"], [33, "mediapipe33"],
]);
const WHOLE = new Map([[133, [23, "coco_feet"]], [136, [26, "halpe26"]]]);
const MOST_PEOPLE = 20;

/**
 * @param {string} text
 * @param {{width: number, height: number} | null} size of the picture, for landmarks that are shares of it
 * @returns {PoseFile}
 */
export function readPoses(text, size) {
  let content;
  try {
    content = JSON.parse(text);
  } catch {
    throw new Error("this file is not readable JSON; save the poses again");
  }
  const flat = [...flatPeople(content)].slice(0, MOST_PEOPLE);
  const marks = flat.length ? [] : [...landmarkPeople(content, 0)].slice(0, MOST_PEOPLE);
  let [width, height] = [size?.width ?? null, size?.height ?? null];
  const image = content?.images?.[0] ?? content;
  if (!size && image?.width > 0 && image?.height > 0) [width, height] = [image.width, image.height];
  const poses = flat.map(cleaned);
  for (const person of marks) {
    const shares = person.every((m) => Math.abs(m.x) <= 3 && Math.abs(m.y) <= 3);
    if (shares && !width) [width, height] = [1000, 1000];
    const [sx, sy] = shares ? [width ?? 1, height ?? 1] : [1, 1];
    const half = shares ? 0.5 : 0; // pixels count from the centre of the upper left one
    poses.push(cleaned(person.flatMap((m) => [
      m.x * sx - half, m.y * sy - half, m.visibility ?? m.score ?? m.presence ?? 1,
    ])));
  }
  if (!poses.length)
    throw new Error("no pose was found in this file; COCO, OpenPose and MediaPipe JSON are read");
  return { poses, width, height };
}

/**
 * @param {number[]} points
 * @returns {Pose}
 */
function cleaned(points) {
  let count = points.length / 3;
  let set = BY_COUNT.get(count);
  const whole = WHOLE.get(count);
  if (whole) [count, set] = /** @type {[number, string]} */ (whole);
  if (!set || !points.every(Number.isFinite))
    throw new Error(`a pose has ${Math.floor(points.length / 3)} joints; known are ${[...BY_COUNT.keys()].join(", ")}`);
  const kept = points.slice(0, 3 * count);
  const largest = Math.max(...kept.filter((_, i) => i % 3 === 2));
  // COCO's visibilities are 0, 1, 2; some detectors write scores beyond 1.
  for (let i = 2; i < kept.length; i += 3) kept[i] = Math.min(Math.max(largest > 2 ? kept[i] / largest : kept[i], 0), 1);
  for (let i = 0; i < kept.length; i += 3)
    if (kept[i] === 0 && kept[i + 1] === 0) kept[i + 2] = 0;
  if (kept.filter((v, i) => i % 3 === 2 && v > 0).length < 4)
    throw new Error("a pose has fewer than 4 joints; more are needed to tell one pose from another");
  return { set, points: kept };
}

/**
 * Numbers in one list a person: COCO's keypoints and OpenPose's pose_keypoints_2d.
 * @param {any} content
 * @returns {Generator<number[]>}
 */
function* flatPeople(content) {
  const list = Array.isArray(content) ? content : content?.people ?? content?.annotations ?? content?.instances ?? [content];
  if (!Array.isArray(list)) return;
  for (const person of list) {
    const found = person?.pose_keypoints_2d ?? person?.pose_keypoints ?? person?.keypoints;
    if (!Array.isArray(found) || !found.length) continue;
    if (found.every((v) => typeof v === "number")) {
      if (found.length % 3 === 0 && found.some((v) => v !== 0)) yield found;
    } else if (found.every((v) => Array.isArray(v) && v.length >= 2)) {
      const scores = person.keypoint_scores;
      yield found.flatMap((v, i) => [v[0], v[1], scores?.[i] ?? v[2] ?? 1]);
    }
  }
}

/**
 * Objects with x and y: MediaPipe's landmarks and TensorFlow.js's keypoints.
 * @param {any} content
 * @param {number} depth
 * @returns {Generator<any[]>}
 */
function* landmarkPeople(content, depth) {
  if (depth > 6 || !content || typeof content !== "object") return;
  if (Array.isArray(content)) {
    if (content.length && content.every((m) => typeof m?.x === "number" && typeof m?.y === "number")) yield content;
    else for (const part of content.slice(0, 1000)) yield* landmarkPeople(part, depth + 1);
    return;
  }
  for (const key of ["pose_landmarks", "poseLandmarks", "landmarks", "landmark", "keypoints", "frames", "results"])
    if (content[key]) return yield* landmarkPeople(content[key], depth + 1);
}
