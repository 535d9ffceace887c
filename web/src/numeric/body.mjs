/**
 * The open body as openhmr.serve.body_file writes it: one file of named arrays behind a JSON header.
 *
 * @typedef {{start: Uint32Array, columns: Uint16Array, values: Float32Array}} Sparse rows of a sparse matrix
 * @typedef {{vertices: Uint16Array, rest: Float32Array, cap: Float32Array, normals: Float32Array,
 *   fade: Float32Array}} Cap the front of a shoe
 * @typedef {{names: string[], base: number, skeleton: [number, number][], points: number[],
 *   derived: [number, number[]][], root: number}} JointSet
 */

export class Body {
  /** @param {ArrayBuffer} file */
  constructor(file) {
    const length = new DataView(file).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 4, length)));
    const kinds = { f4: Float32Array, u2: Uint16Array, u4: Uint32Array, i2: Int16Array };
    const first = 8 * Math.ceil((4 + length) / 8);
    /** @type {Record<string, any>} */
    const arrays = {};
    for (const [name, [kind, shape, offset]] of Object.entries(header.arrays)) {
      const size = shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
      arrays[name] = new kinds[/** @type {keyof typeof kinds} */ (kind)](file, first + offset, size);
    }
    /** @type {(name: string) => Sparse} */
    const sparse = (name) => ({
      start: arrays[`${name}.start`], columns: arrays[`${name}.columns`], values: arrays[`${name}.values`],
    });
    /** @type {string} */
    this.hash = header.body;
    /** @type {Record<string, JointSet>} */
    this.jointSets = header.joint_sets;
    /** @type {Float32Array} V x 3 */
    this.template = arrays.v_template;
    /** @type {Float32Array} V x 3 x S */
    this.shapes = arrays.shapedirs;
    /** @type {Int16Array} */
    this.parents = arrays.parents;
    /** @type {Uint16Array} F x 3 */
    this.faces = arrays.faces;
    /** @type {Uint16Array} */
    this.coarseIds = arrays.coarse_ids;
    this.weights = sparse("weights");
    this.jointRegressor = sparse("J_regressor");
    this.upsampling = sparse("upsample");
    this.pointRegressor = sparse("points");
    this.rootRegressor = sparse("root");
    /** @type {Float32Array} points x parts: what each part gives to a point's deviation */
    this.pointShares = arrays.point_shares;
    /** @type {[number, number, number][]} sRGB colours of shirts, one a person, in turn */
    this.shirts = header.shirts;
    this.suit = {
      /** @type {Float32Array} V x 3: metres inside of trousers, of shoes, and of what stays bare */
      edges: arrays["suit.edges"],
      /** @type {Uint16Array} */
      cloth: arrays["suit.cloth"],
      /** @type {Uint16Array} cloth x neighbours */
      neighbours: arrays["suit.neighbours"],
      /** @type {Float32Array} */
      loose: arrays["suit.loose"],
      /** @type {number} */
      rounds: arrays["suit.rounds"][0],
      /** @type {Cap[]} */
      caps: [0, 1].filter((i) => `cap${i}.rest` in arrays).map((i) => ({
        vertices: arrays[`cap${i}.vertices`], rest: arrays[`cap${i}.rest`], cap: arrays[`cap${i}.cap`],
        normals: arrays[`cap${i}.normals`], fade: arrays[`cap${i}.fade`],
      })),
    };
    this.numVertices = this.template.length / 3;
    this.numJoints = this.parents.length;
    this.numBetas = this.shapes.length / this.template.length;
    /** @type {string[]} */
    this.jointNames = header.joint_names;
  }

  /**
   * Full mesh (V x 3) from the coarse one.
   * @param {ArrayLike<number>} coarse
   * @returns {Float32Array}
   */
  upsample(coarse) {
    return rows(this.upsampling, coarse, new Float32Array(3 * this.numVertices));
  }

  /**
   * Joints (J x 3) of a joint set from coarse vertices.
   * @param {ArrayLike<number>} coarse
   * @param {JointSet} set
   * @returns {Float64Array}
   */
  joints(coarse, set) {
    const out = new Float64Array(3 * set.points.length);
    set.points.forEach((point, j) => row(this.pointRegressor, point, coarse, out, 3 * j));
    return out;
  }
}

/**
 * All rows of a sparse matrix times vectors of three.
 * @template {Float32Array | Float64Array} T
 * @param {Sparse} matrix
 * @param {ArrayLike<number>} vectors
 * @param {T} out
 * @returns {T}
 */
export function rows(matrix, vectors, out) {
  const { start, columns, values } = matrix;
  for (let r = 0; r + 1 < start.length; r++) {
    let [x, y, z] = [0, 0, 0];
    for (let k = start[r]; k < start[r + 1]; k++) {
      const [v, at] = [values[k], 3 * columns[k]];
      x += v * vectors[at];
      y += v * vectors[at + 1];
      z += v * vectors[at + 2];
    }
    out[3 * r] = x;
    out[3 * r + 1] = y;
    out[3 * r + 2] = z;
  }
  return out;
}

/**
 * @param {Sparse} matrix
 * @param {number} r
 * @param {ArrayLike<number>} vectors
 * @param {Float64Array} out
 * @param {number} at
 */
function row({ start, columns, values }, r, vectors, out, at) {
  for (let k = start[r]; k < start[r + 1]; k++)
    for (let c = 0; c < 3; c++) out[at + c] += values[k] * vectors[3 * columns[k] + c];
}
