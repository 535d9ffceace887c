/**
 * Bodies as files of 3D programs: metres, y up, the camera at the origin. Twins of openhmr.export.obj and glb.
 *
 * @typedef {{shown: Float32Array, normals: Float32Array, colours: Float32Array}} Figure vertices in camera axes,
 *   normals, linear RGB
 */

/** Camera axes (y down, z forward) to those of mesh files. @param {ArrayLike<number>} v @returns {Float32Array} */
export function yUp(v) {
  return Float32Array.from(v, (value, i) => (i % 3 ? -value : value));
}

/**
 * @param {Float32Array[]} people vertices in camera axes
 * @param {ArrayLike<number>} faces
 * @returns {Blob}
 */
export function objFile(people, faces) {
  const lines = ["# openhmr: metres, y up, camera at the origin"];
  people.forEach((vertices, person) => {
    lines.push(`o person_${person}`);
    const turned = yUp(vertices);
    for (let i = 0; i < turned.length; i += 3)
      lines.push(`v ${turned[i].toFixed(5)} ${turned[i + 1].toFixed(5)} ${turned[i + 2].toFixed(5)}`);
    const first = 1 + (person * vertices.length) / 3;
    for (let f = 0; f < faces.length; f += 3)
      lines.push(`f ${faces[f] + first} ${faces[f + 1] + first} ${faces[f + 2] + first}`);
  });
  return new Blob([lines.join("\n"), "\n"], { type: "model/obj" });
}

/**
 * Binary glTF 2.0: one node a person.
 * @param {Figure[]} people
 * @param {ArrayLike<number>} faces
 * @returns {Blob}
 */
export function glbFile(people, faces) {
  /** @type {(Float32Array | Uint32Array)[]} */
  const parts = [];
  /** @type {any[]} */
  const views = [];
  /** @type {any[]} */
  const accessors = [];
  let size = 0;
  /** @type {(array: Float32Array | Uint32Array, type: string) => number} */
  const add = (array, type) => {
    const vertex = array instanceof Float32Array;
    views.push({ buffer: 0, byteOffset: size, byteLength: array.byteLength, target: vertex ? 34962 : 34963 });
    /** @type {any} */
    const accessor = {
      bufferView: views.length - 1, count: vertex ? array.length / 3 : array.length, type,
      componentType: vertex ? 5126 : 5125,
    };
    if (vertex)
      for (const [key, better] of /** @type {[string, (a: number, b: number) => number][]} */ ([["min", Math.min], ["max", Math.max]]))
        accessor[key] = [0, 1, 2].map((c) => array.reduce((best, v, i) => (i % 3 === c ? better(best, v) : best), array[c]));
    accessors.push(accessor);
    parts.push(array);
    size += array.byteLength;
    return accessors.length - 1;
  };
  const indices = add(Uint32Array.from(faces), "SCALAR");
  const meshes = people.map(({ shown, normals, colours }, i) => ({
    name: `person_${i}`,
    primitives: [{
      attributes: {
        POSITION: add(yUp(shown), "VEC3"), NORMAL: add(yUp(normals), "VEC3"), COLOR_0: add(colours, "VEC3"),
      },
      indices, material: 0,
    }],
  }));
  const document = {
    asset: { version: "2.0", generator: "openhmr" }, scene: 0,
    scenes: [{ nodes: people.map((_, i) => i) }],
    nodes: people.map((_, i) => ({ name: `person_${i}`, mesh: i })),
    meshes, materials: [{ name: "suit", pbrMetallicRoughness: { metallicFactor: 0, roughnessFactor: 0.65 } }],
    accessors, bufferViews: views, buffers: [{ byteLength: size }],
  };
  let text = JSON.stringify(document);
  text += " ".repeat((4 - (new TextEncoder().encode(text).length % 4)) % 4);
  const json = new TextEncoder().encode(text);
  const head = Uint32Array.of(0x46546c67, 2, 28 + json.length + size, json.length, 0x4e4f534a);
  return new Blob([head, json, Uint32Array.of(size, 0x004e4942), ...parts.map((p) => /** @type {BlobPart} */ (p))],
    { type: "model/gltf-binary" });
}
