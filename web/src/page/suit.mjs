/**
 * The suit's colours on the GPU: edges of cloth are sharp between vertices; sigma as colours in their place.
 */
import * as THREE from "three";

const SHOES = [0.27, 0.275, 0.29];
const BARE = [0.66, 0.655, 0.65];
/** Colours (sRGB) of deviations of 0, 5 and 15 cm or more. */
export const CERTAIN = [[0.16, 0.55, 0.56], [0.93, 0.73, 0.27], [0.8, 0.24, 0.22]];
export const CERTAIN_M = [0.01, 0.05, 0.15];

/** @param {number[]} rgb sRGB @returns {THREE.Color} */
const colour = (rgb) => new THREE.Color().setRGB(rgb[0], rgb[1], rgb[2], THREE.SRGBColorSpace);

/**
 * @param {number[]} shirt sRGB
 * @returns {THREE.MeshStandardMaterial}
 */
export function suitMaterial(shirt) {
  const material = new THREE.MeshStandardMaterial({ roughness: 0.78, metalness: 0 });
  const uniforms = {
    shirt: { value: colour(shirt) },
    trousers: { value: colour(shirt.map((c) => 0.12 + 0.38 * c)) },
    shoes: { value: colour(SHOES) },
    bare: { value: colour(BARE) },
    certainty: { value: 0 },
    certain: { value: CERTAIN.map(colour) },
  };
  material.userData.uniforms = uniforms;
  material.onBeforeCompile = (shader) => {
    Object.assign(shader.uniforms, uniforms);
    shader.vertexShader = shader.vertexShader
      .replace("#include <common>", `#include <common>
        attribute vec3 edge; attribute float doubt; varying vec3 vEdge; varying float vDoubt;`)
      .replace("#include <begin_vertex>", "#include <begin_vertex>\n vEdge = edge; vDoubt = doubt;");
    shader.fragmentShader = shader.fragmentShader
      .replace("#include <common>", `#include <common>
        uniform vec3 shirt, trousers, shoes, bare, certain[3]; uniform float certainty;
        varying vec3 vEdge; varying float vDoubt;
        float inside(float x) { float w = fwidth(x); return clamp(x / max(w, 1e-6) + 0.5, 0.0, 1.0); }`)
      .replace("#include <color_fragment>", `
        vec3 worn = mix(mix(mix(shirt, trousers, inside(vEdge.x)), shoes, inside(vEdge.y)), bare, inside(vEdge.z));
        float low = clamp((vDoubt - ${CERTAIN_M[0]}) / ${(CERTAIN_M[1] - CERTAIN_M[0]).toFixed(3)}, 0.0, 1.0);
        float high = clamp((vDoubt - ${CERTAIN_M[1].toFixed(3)}) / ${(CERTAIN_M[2] - CERTAIN_M[1]).toFixed(3)}, 0.0, 1.0);
        diffuseColor.rgb = mix(worn, mix(mix(certain[0], certain[1], low), certain[2], high), 0.84 * certainty);`);
  };
  return material;
}

/**
 * Linear colours (V x 3) of a suit, as mesh files have them.
 * @param {number[]} shirt sRGB
 * @param {Float32Array} edges
 * @returns {Float32Array}
 */
export function suitColours(shirt, edges) {
  const kinds = [shirt, shirt.map((c) => 0.12 + 0.38 * c), SHOES, BARE].map((c) => colour(c).toArray());
  const out = new Float32Array(edges.length);
  for (let i = 0; i < edges.length; i += 3) {
    const kind = edges[i + 2] > 0 ? 3 : edges[i + 1] > 0 ? 2 : edges[i] > 0 ? 1 : 0;
    out.set(kinds[kind], i);
  }
  return out;
}
