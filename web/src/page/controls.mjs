/**
 * What buttons, keys, files and sliders do.
 *
 * @typedef {import("../app.mjs").App} App
 */
import { preset, PRESETS } from "./presets.mjs";
import { save } from "./saving.mjs";

/** @type {(id: string) => any} */
const $ = (id) => document.getElementById(id);
/** What some betas of the open body are, and the sign with which more of it is. @type {Map<number, [string, number]>} */
const SHAPES = new Map([[0, ["Height", -1]], [2, ["Build", -1]]]);

/** @param {App} app */
export function connect(app) {
  $("open").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", (/** @type {any} */ event) => {
    app.open([...event.target.files]);
    event.target.value = "";
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    const text = event.clipboardData?.getData("text");
    if (files.length) app.open(files);
    else if (text?.trim().match(/^[[{]/)) app.openPose(text).catch((error) => app.wrong(error));
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    app.open([...(event.dataTransfer?.files ?? [])]);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") menu(false);
    if (event.key !== "z" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    app.undo();
  });
  $("undo").addEventListener("click", () => app.undo());
  $("mirror").addEventListener("click", () => app.mirror());
  $("over").addEventListener("change", () => app.draw());
  $("wire").addEventListener("change", () => app.stage.style({ wire: $("wire").checked }));
  $("certainty").addEventListener("change", () => {
    app.stage.style({ certainty: $("certainty").checked });
    $("legend").hidden = !$("certainty").checked;
  });
  for (const name of Object.keys(PRESETS)) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name[0].toUpperCase() + name.slice(1);
    button.addEventListener("click", () => {
      app.opened++;
      app.clearPicture();
      app.setPoses([{ set: "coco", points: preset(name) }], 640, 640).catch((error) => app.wrong(error));
    });
    $("presets").append(button);
  }
  for (const button of $("method").children)
    button.addEventListener("click", () => app.useMethod(button.dataset.method).catch((error) => app.wrong(error)));
  for (const button of $("sides").children)
    button.addEventListener("click", () => {
      app.pressed("sides", button.dataset.from, "from");
      app.stage.look(button.dataset.from);
    });
  $("save").addEventListener("click", () => menu($("save-menu").hidden));
  for (const button of $("save-menu").children)
    button.addEventListener("click", () => {
      menu(false);
      save(app, button.dataset.save).catch((error) => app.wrong(error));
    });
  sliders(app);
}

/** @param {App} app */
function sliders(app) {
  app.betas = Array(app.body.numBetas).fill(0);
  const inputs = app.betas.map((_, i) => {
    const label = document.createElement("label");
    const input = document.createElement("input");
    Object.assign(input, { type: "range", min: "-3", max: "3", step: "0.1", value: "0" });
    const [name, sign] = SHAPES.get(i) ?? [`Shape ${i + 1}`, 1];
    input.addEventListener("input", () => {
      app.betas[i] = sign * Number(input.value);
      app.reshape().catch((error) => app.wrong(error));
    });
    label.append(name, input);
    $("betas").append(label);
    return input;
  });
  $("average").addEventListener("click", () => {
    app.betas.fill(0);
    for (const input of inputs) input.value = "0";
    app.useMethod(app.method).catch((error) => app.wrong(error));
  });
}

/** @param {boolean} open */
function menu(open) {
  $("save-menu").hidden = !open;
  $("save").setAttribute("aria-expanded", String(open));
  if (open) $("save-menu").firstElementChild.focus();
}
