/**
 * The page's end of the worker: jobs with answers, of each channel only the newest.
 */

export class Client {
  /**
   * @param {Worker} worker
   * @param {{files: any, threads: number}} setup
   * @param {(name: string, share: number) => void} progress of files that are loaded
   */
  constructor(worker, setup, progress) {
    this.worker = worker;
    this.count = 0;
    /** @type {Map<number, {resolve: (answer: any) => void, reject: (error: Error) => void}>} */
    this.open = new Map();
    worker.addEventListener("message", ({ data }) => {
      if (data.kind === "loading") return progress(data.name, data.share);
      const job = this.open.get(data.id);
      this.open.delete(data.id);
      if (data.kind === "done") job?.resolve(data.answer);
      else if (data.kind === "passed") job?.resolve(null);
      else job?.reject(new Error(data.message));
    });
    worker.addEventListener("error", (event) => {
      for (const job of this.open.values()) job.reject(new Error(event.message || "the worker could not start"));
      this.open.clear();
    });
    worker.postMessage({ kind: "open", ...setup });
  }

  /**
   * The answer, or null where a newer job of the channel came in between.
   * @param {string} kind
   * @param {Record<string, any>} [job]
   * @param {{channel?: string, transfer?: Transferable[]}} [how] jobs without a channel are never passed over
   * @returns {Promise<any>}
   */
  ask(kind, job = {}, { channel, transfer = [] } = {}) {
    const id = ++this.count;
    return new Promise((resolve, reject) => {
      this.open.set(id, { resolve, reject });
      this.worker.postMessage({ ...job, kind, id, channel: channel ?? `${kind}:${id}` }, transfer);
    });
  }
}
