/**
 * A take of body parameters as a BVH file: centimetres, y up, rotations in the order Z, X, Y.
 *
 * @typedef {import("../numeric/skinning.mjs").Rig} Rig
 */
import { multiply3 } from "../numeric/linear.mjs";

const TURN = [1, 0, 0, 0, -1, 0, 0, 0, -1];

/**
 * @param {Rig[]} rigs one a frame
 * @param {number} frame_s
 * @param {{names: string[], parents: ArrayLike<number>, rest: ArrayLike<number>}} tree joints of the T-pose in metres
 * @returns {Blob}
 */
export function bvhFile(rigs, frame_s, { names, parents, rest }) {
  const lines = ["HIERARCHY"];
  /** @type {number[]} joints in the order of the file */
  const order = [];
  /** @type {(joint: number, depth: number) => void} */
  const write = (joint, depth) => {
    const pad = "\t".repeat(depth);
    const parent = parents[joint];
    const offset = [0, 1, 2].map((c) => cm(parent < 0 ? 0 : rest[3 * joint + c] - rest[3 * parent + c]));
    order.push(joint);
    lines.push(`${pad}${parent < 0 ? "ROOT" : "JOINT"} ${names[joint]}`, `${pad}{`, `${pad}\tOFFSET ${offset.join(" ")}`);
    const rotation = "Zrotation Xrotation Yrotation";
    lines.push(`${pad}\tCHANNELS ${parent < 0 ? `6 Xposition Yposition Zposition ${rotation}` : `3 ${rotation}`}`);
    const children = names.map((_, j) => j).filter((j) => parents[j] === joint);
    for (const child of children) write(child, depth + 1);
    if (!children.length) {
      const along = [0, 1, 2].map((c) => cm(0.5 * (rest[3 * joint + c] - rest[3 * parents[joint] + c])));
      lines.push(`${pad}\tEnd Site`, `${pad}\t{`, `${pad}\t\tOFFSET ${along.join(" ")}`, `${pad}\t}`);
    }
    lines.push(`${pad}}`);
  };
  write(0, 0);
  lines.push("MOTION", `Frames: ${rigs.length}`, `Frame Time: ${frame_s.toFixed(6)}`);
  for (const { rotations, translation } of rigs) {
    const place = [0, 1, 2].map((c) => cm((c ? -1 : 1) * (translation[c] + rest[c])));
    const turns = order.flatMap((j) => eulerZXY(j ? rotations.subarray(9 * j, 9 * j + 9) : multiply3(TURN, rotations)));
    lines.push([...place, ...turns.map((t) => t.toFixed(4))].join(" "));
  }
  return new Blob([lines.join("\n"), "\n"], { type: "text/plain" });
}

/** @param {number} metres @returns {string} */
const cm = (metres) => (100 * metres).toFixed(4);

/**
 * Angles (Z, X, Y in degrees) such that R = Rz Rx Ry.
 * @param {ArrayLike<number>} R
 * @returns {[number, number, number]}
 */
export function eulerZXY(R) {
  const x = Math.asin(Math.min(Math.max(R[7], -1), 1));
  const locked = Math.abs(R[7]) > 1 - 1e-9;
  const z = locked ? Math.atan2(R[3], R[0]) : Math.atan2(-R[1], R[4]);
  const y = locked ? 0 : Math.atan2(-R[6], R[8]);
  return /** @type {[number, number, number]} */ ([z, x, y].map((a) => (a * 180) / Math.PI));
}
