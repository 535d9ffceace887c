/**
 * The bodies in 3D, as the camera saw them, from the side or from anywhere, and over the picture.
 *
 * @typedef {import("../numeric/camera.mjs").Camera} Camera
 * @typedef {{shown: Float32Array, normals: Float32Array, sigma?: Float32Array | null}} Figure in camera axes
 */
import * as THREE from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { suitMaterial } from "./suit.mjs";

const FIELD_OF_VIEW = 28;
const FAR_M = 200;

export class Stage {
  /**
   * @param {HTMLCanvasElement} canvas of the view
   * @param {HTMLCanvasElement} overlay over the picture
   * @param {{faces: Uint16Array, edges: Float32Array, shirts: number[][]}} body
   */
  constructor(canvas, overlay, body) {
    this.body = body;
    this.scene = new THREE.Scene();
    this.people = new THREE.Group();
    // Camera axes (y down, z forward) to the stage's (y up, z to the viewer).
    this.people.scale.set(1, -1, -1);
    this.scene.add(this.people, lights());
    this.floor = floor();
    this.scene.add(this.floor);
    this.renderer = renderer(canvas);
    this.over = renderer(overlay);
    this.camera = new THREE.PerspectiveCamera(FIELD_OF_VIEW, 1, 0.05, FAR_M);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.enableDamping = false;
    this.controls.addEventListener("change", () => this.draw());
    this.controls.addEventListener("start", () => this.onturn?.());
    /** @type {(() => void) | null} */
    this.onturn = null;
    this.focus = new THREE.Vector3(0, 0, -3);
    this.reach = 1.2;
    this.wire = false;
    this.certainty = false;
    /** @type {Camera | null} */
    this.seen = null;
    this.waiting = false;
    new ResizeObserver(() => this.draw()).observe(canvas);
    new ResizeObserver(() => this.draw()).observe(overlay);
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  /**
   * Show people; the first time, and where they moved far, the view goes with them.
   * @param {Figure[]} figures
   * @param {Camera} seen
   * @param {boolean} frame whether to look at them anew
   */
  show(figures, seen, frame) {
    while (this.people.children.length > figures.length) {
      const mesh = /** @type {THREE.Mesh} */ (this.people.children[this.people.children.length - 1]);
      mesh.geometry.dispose();
      this.people.remove(mesh);
    }
    figures.forEach((figure, i) => {
      const mesh = /** @type {THREE.Mesh} */ (this.people.children[i] ?? this.added(i));
      const { position, normal, doubt } = mesh.geometry.attributes;
      position.array.set(figure.shown);
      normal.array.set(figure.normals);
      for (let v = 0; v < doubt.count; v++)
        doubt.array[v] = figure.sigma
          ? Math.hypot(figure.sigma[3 * v], figure.sigma[3 * v + 1], figure.sigma[3 * v + 2]) : 0;
      for (const attribute of [position, normal, doubt]) attribute.needsUpdate = true;
    });
    this.seen = seen;
    if (figures.length) this.follow(figures, frame);
    this.style();
  }

  /** @param {number} i */
  added(i) {
    const { faces, edges, shirts } = this.body;
    const geometry = new THREE.BufferGeometry();
    /** @type {(size: number) => THREE.BufferAttribute} */
    const moving = (size) =>
      new THREE.BufferAttribute(new Float32Array((edges.length / 3) * size), size).setUsage(THREE.DynamicDrawUsage);
    geometry.setAttribute("position", moving(3));
    geometry.setAttribute("normal", moving(3));
    geometry.setAttribute("doubt", moving(1));
    geometry.setAttribute("edge", new THREE.BufferAttribute(edges, 3));
    geometry.setIndex(new THREE.BufferAttribute(faces, 1));
    const mesh = new THREE.Mesh(geometry, suitMaterial(shirts[i % shirts.length]));
    mesh.frustumCulled = false;
    this.people.add(mesh);
    return mesh;
  }

  /**
   * @param {Figure[]} figures
   * @param {boolean} frame
   */
  follow(figures, frame) {
    const box = new THREE.Box3();
    for (const { shown } of figures)
      for (let i = 0; i < shown.length; i += 30)
        box.expandByPoint(new THREE.Vector3(shown[i], -shown[i + 1], -shown[i + 2]));
    const middle = box.getCenter(new THREE.Vector3());
    this.floor.position.set(middle.x, box.min.y, middle.z);
    const spread = Math.max(box.max.x - box.min.x, box.max.z - box.min.z);
    this.floor.scale.setScalar(Math.max(1, spread * 0.9));
    this.reach = Math.max(0.5 * box.getSize(new THREE.Vector3()).length(), 0.8);
    const moved = middle.clone().sub(this.controls.target);
    this.focus = middle;
    if (frame) this.look("front");
    else {
      this.controls.target.add(moved);
      this.camera.position.add(moved);
      this.camera.lookAt(this.controls.target);
    }
  }

  /** @param {"front" | "side" | "back" | "top"} from */
  look(from) {
    const toward = this.focus.clone().normalize().negate();
    const turn = { front: 0, side: Math.PI / 2, back: Math.PI, top: 0 }[from];
    const away = new THREE.Vector3(toward.x, 0, toward.z).normalize().applyAxisAngle(new THREE.Vector3(0, 1, 0), turn);
    if (from === "front") away.copy(toward);
    if (from === "top") away.set(away.x * 0.02, 1, away.z * 0.02).normalize();
    const aspect = Math.min(this.camera.aspect, 1);
    const distance = (1.12 * this.reach) / Math.sin((FIELD_OF_VIEW * Math.PI) / 360) / Math.max(aspect, 0.4);
    this.controls.target.copy(this.focus);
    this.camera.position.copy(this.focus).addScaledVector(away, distance);
    this.controls.update();
    this.draw();
  }

  /** @param {{wire?: boolean, certainty?: boolean}} how */
  style(how = {}) {
    Object.assign(this, how);
    for (const child of this.people.children) {
      const material = /** @type {THREE.MeshStandardMaterial} */ (/** @type {THREE.Mesh} */ (child).material);
      material.wireframe = this.wire;
      material.userData.uniforms.certainty.value = this.certainty ? 1 : 0;
    }
    this.draw();
  }

  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.drawNow();
    });
  }

  drawNow() {
    fit(this.renderer, this.camera);
    this.floor.visible = true;
    this.renderer.render(this.scene, this.camera);
    const { seen } = this;
    if (!seen || this.over.domElement.hidden) return;
    fit(this.over, null);
    this.floor.visible = false;
    this.over.render(this.scene, pinhole(seen));
  }

  /** @returns {Promise<Blob | null>} the view as PNG */
  picture() {
    this.drawNow();
    return new Promise((resolve) => this.renderer.domElement.toBlob(resolve, "image/png"));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const offset = this.camera.position.clone().sub(this.controls.target);
    const polar = new THREE.Spherical().setFromVector3(offset);
    const step = 0.15;
    if (event.key === "ArrowLeft") polar.theta -= step;
    else if (event.key === "ArrowRight") polar.theta += step;
    else if (event.key === "ArrowUp") polar.phi -= step;
    else if (event.key === "ArrowDown") polar.phi += step;
    else if (event.key === "+" || event.key === "=") polar.radius /= 1.1;
    else if (event.key === "-") polar.radius *= 1.1;
    else return;
    event.preventDefault();
    polar.makeSafe();
    this.camera.position.copy(this.controls.target).add(new THREE.Vector3().setFromSpherical(polar));
    this.controls.update();
    this.onturn?.();
    this.draw();
  }
}

/** @param {HTMLCanvasElement} canvas */
function renderer(canvas) {
  const out = new THREE.WebGLRenderer({ canvas, antialias: true, alpha: true });
  out.setPixelRatio(Math.min(devicePixelRatio, 2));
  return out;
}

/**
 * @param {THREE.WebGLRenderer} target
 * @param {THREE.PerspectiveCamera | null} camera
 */
function fit(target, camera) {
  const { clientWidth, clientHeight } = target.domElement;
  if (!clientWidth || !clientHeight) return;
  target.setSize(clientWidth, clientHeight, false);
  if (camera && camera.aspect !== clientWidth / clientHeight) {
    camera.aspect = clientWidth / clientHeight;
    camera.updateProjectionMatrix();
  }
}

/**
 * A camera of three.js that projects as a pinhole camera does, whose picture spans -0.5 to width - 0.5.
 * @param {Camera} seen
 * @returns {THREE.Camera}
 */
function pinhole({ fx, fy, cx, cy, width, height }) {
  const [near, far] = [0.05, FAR_M];
  const camera = new THREE.Camera();
  camera.projectionMatrix.set(
    (2 * fx) / width, 0, 1 - (2 * (cx + 0.5)) / width, 0,
    0, (2 * fy) / height, (2 * (cy + 0.5)) / height - 1, 0,
    0, 0, -(far + near) / (far - near), (-2 * far * near) / (far - near),
    0, 0, -1, 0,
  );
  camera.projectionMatrixInverse.copy(camera.projectionMatrix).invert();
  return camera;
}

function lights() {
  const out = new THREE.Group();
  const key = new THREE.DirectionalLight(0xfff4e6, 2.1);
  key.position.set(-1.5, 2.5, 3);
  const rim = new THREE.DirectionalLight(0xdfe9ff, 1.1);
  rim.position.set(2, 1.5, -2.5);
  out.add(new THREE.HemisphereLight(0xffffff, 0x8a8f98, 1.5), key, rim);
  return out;
}

/** A soft shadow under the people. */
function floor() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 128;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const soft = context.createRadialGradient(64, 64, 4, 64, 64, 64);
  soft.addColorStop(0, "rgba(0,0,0,.38)");
  soft.addColorStop(0.5, "rgba(0,0,0,.12)");
  soft.addColorStop(1, "rgba(0,0,0,0)");
  context.fillStyle = soft;
  context.fillRect(0, 0, 128, 128);
  const material = new THREE.MeshBasicMaterial({
    map: new THREE.CanvasTexture(canvas), transparent: true, depthWrite: false,
  });
  const plane = new THREE.Mesh(new THREE.PlaneGeometry(1.5, 1.5).rotateX(-Math.PI / 2), material);
  plane.renderOrder = -1;
  return plane;
}
