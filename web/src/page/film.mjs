/**
 * A webcam or a film: the largest person of every frame that there is time for, and a take of them.
 *
 * @typedef {import("../numeric/crop.mjs").Box} Box
 */
import { cameraOf } from "../numeric/camera.mjs";

const LONGER_PX = 640;
const MOST_FRAMES = 1800;
const LOST = 0.3;

export class Film {
  /**
   * @param {any} app
   * @param {HTMLVideoElement} video
   * @param {HTMLButtonElement} button
   */
  constructor(app, video, button) {
    this.app = app;
    this.video = video;
    this.button = button;
    this.playing = false;
    /** @type {{rig: any, time_s: number}[]} */
    this.take = [];
    this.frames = 0;
    button.addEventListener("click", () => (this.playing ? this.stop() : this.webcam()));
  }

  async webcam() {
    try {
      const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" };
      const stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
      this.app.clearPicture();
      this.video.srcObject = stream;
      await this.play();
    } catch (error) {
      this.app.wrong(new Error(`no webcam (${/** @type {Error} */ (error).message || "not allowed"}); allow it, or open a film`));
    }
  }

  /** @param {File} file */
  async open(file) {
    this.app.clearPicture();
    this.video.src = URL.createObjectURL(file);
    await this.play();
  }

  async play() {
    const { video, app } = this;
    await video.play().catch(() => {
      throw new Error("this film cannot be played; MP4 and WebM are");
    });
    video.hidden = false;
    this.button.setAttribute("aria-pressed", "true");
    this.button.lastChild && (this.button.lastChild.textContent = "Stop");
    this.playing = true;
    this.take = [];
    app.opened++;
    const scale = Math.min(1, LONGER_PX / Math.max(video.videoWidth, video.videoHeight));
    const [width, height] = [Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale)];
    app.camera = cameraOf(width, height);
    app.people = [];
    app.hasPicture = true;
    document.getElementById("over-label")?.removeAttribute("hidden");
    app.begin();
    this.run(width, height).catch((error) => {
      this.stop();
      app.wrong(error);
    });
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  async run(width, height) {
    const { app, video } = this;
    const canvas = new OffscreenCanvas(width, height);
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
    /** @type {Box | null} */
    let box = null;
    let first = true;
    const times = [];
    while (this.playing) {
      context.drawImage(video, 0, 0, width, height);
      const time_s = video.currentTime;
      const { data } = context.getImageData(0, 0, width, height);
      /** @type {any} */
      const answer = await app.client.ask("frame", { image: { data, width, height }, camera: app.camera, box },
        { transfer: [data.buffer] });
      if (!this.playing) return;
      box = answer.person && boxOf(answer.person.pose);
      this.frames++;
      times.push(performance.now());
      if (times.length > 12) times.shift();
      if (!answer.person) {
        app.people = [];
        app.showPose();
        app.draw();
        app.say("Nobody is to be seen.");
        await new Promise((resolve) => setTimeout(resolve, 60));
        continue;
      }
      app.people = [{ set: "coco", points: answer.person.pose, result: answer.person, seen: null, box: null }];
      if (this.take.length < MOST_FRAMES) this.take.push({ rig: answer.person.rig, time_s });
      app.showPose();
      app.draw(first);
      first = false;
      const rate = times.length > 1 ? (1000 * (times.length - 1)) / (times[times.length - 1] - times[0]) : 0;
      if (this.frames % 5 === 0) app.say(`${rate.toFixed(1)} frames a second.`);
    }
  }

  stop() {
    if (!this.playing) return;
    this.playing = false;
    this.button.setAttribute("aria-pressed", "false");
    this.button.lastChild && (this.button.lastChild.textContent = "Webcam");
    const stream = /** @type {MediaStream | null} */ (this.video.srcObject);
    for (const track of stream?.getTracks() ?? []) track.stop();
    if (this.video.src) URL.revokeObjectURL(this.video.src);
    this.video.srcObject = null;
    this.video.removeAttribute("src");
    this.video.hidden = true;
    const note = document.getElementById("take");
    if (note) note.textContent = this.take.length ? ` (${this.take.length} frames)` : "";
  }

  /** @returns {number} mean time from frame to frame of the take */
  frameSeconds() {
    const times = this.take.map((t) => t.time_s);
    const steps = times.slice(1).map((t, i) => t - times[i]).filter((s) => s > 0);
    return steps.length ? steps.reduce((a, b) => a + b, 0) / steps.length : 1 / 30;
  }
}

/**
 * The box that a person of the next frame is looked for in, around their joints; null where they are lost.
 * @param {Float32Array} pose COCO's joints
 * @returns {Box | null}
 */
function boxOf(pose) {
  const [low, high] = [[Infinity, Infinity], [-Infinity, -Infinity]];
  let [sure, count] = [0, 0];
  for (let i = 0; i < pose.length; i += 3) {
    sure += pose[i + 2];
    count++;
    for (const c of [0, 1]) {
      low[c] = Math.min(low[c], pose[i + c]);
      high[c] = Math.max(high[c], pose[i + c]);
    }
  }
  if (sure / count < LOST) return null;
  // Head and feet reach beyond their joints.
  const room = 0.08 * Math.max(high[0] - low[0], high[1] - low[1]);
  return [low[0] - room, low[1] - room, high[0] - low[0] + 2 * room, high[1] - low[1] + 2 * room];
}
