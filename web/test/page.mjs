// Uses the page in Chromium as a person would: `node page.mjs PLAN.json`; writes what it saw as JSON to stdout.
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const plan = JSON.parse(await readFile(process.argv[2], "utf8"));
const PATIENCE = 240_000;
const args = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"];
if (plan.film)
  args.push("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", `--use-file-for-fake-video-capture=${plan.film}`);
const browser = await chromium.launch({ executablePath: plan.chromium, args });
const seen = { requests: [], errors: [] };

async function opened(url, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, acceptDownloads: true, ...options });
  page.setDefaultTimeout(PATIENCE);
  page.on("request", (request) => seen.requests.push(request.url()));
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
  await page.goto(url);
  await page.waitForFunction(() => document.documentElement.dataset.ready === "yes", null, { timeout: PATIENCE });
  return page;
}
const shown = (page) => page.evaluate(() => globalThis.openhmr.people.map((p) => ({
  set: p.set, points: [...p.points], vertices: p.result && [...p.result.vertices],
})));
const settled = async (page) => {
  // A lift answers jobs in turn: whatever was asked before is shown after this one.
  await page.evaluate(() => globalThis.openhmr.lift(0));
  return shown(page);
};

const steps = {
  async drag(page) {
    const before = await shown(page);
    const box = await page.locator("[data-joint=R_Wrist]").boundingBox();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x - 40, y - 120, { steps: 12 });
    await page.mouse.up();
    return { before, after: await settled(page) };
  },
  async keys(page) {
    await page.locator("[data-joint=L_Ankle]").focus();
    const before = await shown(page);
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Shift+ArrowRight");
    const after = await settled(page);
    await page.keyboard.press("Control+z");
    await page.keyboard.press("Control+z");
    return { before, after, undone: await settled(page) };
  },
  async shape(page) {
    const before = await settled(page);
    await page.click("#shape summary");
    await page.locator("#betas input").first().fill("2");
    return { before, after: await settled(page) };
  },
  async poses(page) {
    await page.setInputFiles("#file", plan.poses);
    await page.waitForFunction((count) => globalThis.openhmr.people.filter((p) => p.result).length === count, plan.people);
    return { after: await shown(page) };
  },
  async link(page) {
    await page.click("#save");
    await page.click("[data-save=link]");
    const before = await settled(page);
    const other = await opened(page.url());
    const after = await settled(other);
    await other.close();
    return { before, after };
  },
  async save(page) {
    const names = [];
    for (const kind of ["glb", "obj", "bvh", "png"]) {
      await page.click("#save");
      const [download] = await Promise.all([page.waitForEvent("download"), page.click(`[data-save=${kind}]`)]);
      await download.saveAs(join(plan.folder, download.suggestedFilename()));
      names.push(download.suggestedFilename());
    }
    return { names, after: await shown(page) };
  },
  async photo(page) {
    await page.setInputFiles("#file", plan.photo);
    await page.waitForFunction(() => /found in/.test(document.getElementById("status").textContent));
    const boxes = await page.evaluate(() => globalThis.openhmr.people.map((p) => p.box));
    await page.screenshot({ path: join(plan.folder, "photo.png") });
    return { boxes, after: await shown(page) };
  },
  async film(page) {
    await page.click("#webcam");
    await page.waitForFunction(() => globalThis.openhmr.film.take.length >= 3);
    const after = await shown(page);
    await page.click("#webcam");
    return { after, frames: await page.evaluate(() => globalThis.openhmr.film.take.length) };
  },
  async axe(page) {
    const source = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
    await page.evaluate(source);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    return violations.map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map((n) => n.html.slice(0, 120)) }));
  },
  async screens(page) {
    for (const [name, scheme, width, height] of [["light", "light", 1280, 800], ["dark", "dark", 1280, 800], ["phone", "light", 390, 844]]) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize({ width, height });
      await page.waitForTimeout(500);
      await page.screenshot({ path: join(plan.folder, `${name}.png`), fullPage: true });
    }
    await page.emulateMedia({ colorScheme: "light" });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    await page.setViewportSize({ width: 1280, height: 800 });
    return { wide };
  },
};

try {
  const page = await opened(plan.url);
  const out = { isolated: await page.evaluate(() => globalThis.crossOriginIsolated), first: await shown(page) };
  for (const step of plan.steps) out[step] = await steps[step](page);
  await writeFile(join(plan.folder, "seen.json"), JSON.stringify({ ...out, ...seen }));
} finally {
  await browser.close();
}
