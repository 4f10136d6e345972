// The pipeline: how far behind it is, what it could not read, and what waits.

import { get, getIfThere } from "/static/api.js";
import { h } from "/static/dom.js";
import * as format from "/static/format.js";

const LOOK_MILLISECONDS = 10_000;
const entries = (counts) => Object.entries(counts ?? {}).sort(([, a], [, b]) => b - a);

export class PipelineView {
  name = "pipeline";
  title = "Pipeline";
  #shown = "";

  constructor(store) {
    this.store = store;
    this.about = h("p", { class: "about" });
    this.tiles = h("div", { class: "tiles" });
    this.rest = h("div", { class: "page", id: "rest" });
    this.rest.style.padding = "0";
    this.element = h("section", { class: "page" }, h("div", { class: "bar" }, h("h1", {}, "Pipeline"), this.about), this.tiles, this.rest);
  }

  shown() {
    this.timer = setInterval(() => this.#look(), LOOK_MILLISECONDS);
    this.#look();
  }

  close() {
    clearInterval(this.timer);
  }

  async #look() {
    let health;
    let pipeline;
    try {
      [health, pipeline] = await Promise.all([get("/health"), getIfThere("/pipeline")]);
    } catch {
      return;
    }
    this.about.textContent = [pipeline?.environment, health.lookedAt && `looked at ${format.timeOf(health.lookedAt)} ET`].filter(Boolean).join(" · ");
    this.tiles.replaceChildren(...tilesOf(health, pipeline));
    // what is open or has the focus stays so while nothing below changed
    const parts = JSON.stringify([health.unreadable, { ...pipeline, lookedAt: null }]);
    if (parts !== this.#shown) {
      this.#shown = parts;
      const open = new Set([...this.rest.querySelectorAll("details[open]")].map((each) => each.dataset.key));
      this.rest.replaceChildren(...partsOf(health, pipeline));
      for (const each of this.rest.querySelectorAll("details")) each.open = open.has(each.dataset.key);
    }
    this.element.dataset.drawn = "yes";
  }
}

function tile(title, big, small = "", state = "") {
  return h("section", { class: "tile card" }, h("h2", {}, title), h("p", { class: `big ${state}` }, big), small && h("p", { class: "small" }, small));
}

function tilesOf(health, pipeline) {
  const failing = health.status === "failing";
  const found = [
    tile("Page behind the raw files", failing ? "Failing" : health.status === "starting" ? "Starting" : format.span(health.behindP99), failing ? health.failure : "99 of 100 files are shown within this", failing ? "down" : ""),
    tile("Session", health.sessionDate ? format.shortDateOf(health.sessionDate) : "None yet", `${format.counted(health.files, "raw file")}, ${format.counted(health.symbols, "symbol")}`),
    tile("Newest raw file", health.newestFile ? `${format.age(health.newestFile)} ago` : "None yet", health.newestFile ? `${format.timeOf(health.newestFile)} ET` : ""),
  ];
  if (!pipeline) return found;
  const { stream, newestTrade, deadLetters, backlog, published, stale, broken, shards, processor } = pipeline;
  const rejected = entries(deadLetters.rejected);
  found.push(tile("Stream", stream.fresh ? "Fresh" : "Behind", [stream.why, newestTrade && `newest trade ${format.timeOf(newestTrade)} ET`].filter(Boolean).join(", "), stream.fresh ? "up" : "down"));
  if (shards !== null) found.push(tile("Shards", format.count(shards)));
  if (processor) {
    found.push(tile("Invocations", format.count(processor.invocations), `in the last hour, ${format.count(processor.unfinished)} unfinished; ${format.count(processor.trades)} trades`, processor.unfinished ? "down" : ""));
    found.push(tile("State writes", format.count(processor.stateWrites), `in the last hour; ${format.count(processor.stateConflicts)} tried again`));
  }
  found.push(tile("Dead letters", format.count(deadLetters.waiting), `waiting; ${format.count(deadLetters.hidden)} in hand or resting`, deadLetters.waiting ? "down" : ""));
  found.push(tile("Lines rejected today", format.count(rejected.reduce((sum, [, each]) => sum + each, 0)), rejected.map(([reason, each]) => `${format.count(each)} ${reason}`).join(", ")));
  found.push(tile("To compact", `${format.count(backlog.reduce((sum, each) => sum + each.files, 0))} files`, backlog.map((each) => `${each.sessionDate}: ${format.count(each.files)} files, ${format.bytes(each.bytes)}`).join("; ") || "nothing waits"));
  found.push(tile("Last published", published ? format.shortDateOf(published) : "None yet"));
  found.push(tile("Freshness", entries(stale).length ? `${entries(stale).length} stale` : "Fresh", Object.entries(stale).map(([asset, why]) => `${asset}: ${why}`).join("; "), entries(stale).length ? "down" : "up"));
  if (broken) found.push(tile("Broken", "Look", broken, "down"));
  return found;
}

function partsOf(health, pipeline) {
  const unreadable = Object.entries(health.unreadable);
  return [
    pipeline?.alarms?.length > 0 && alarms(pipeline.alarms),
    pipeline ? deadLetters(pipeline.deadLetters, pipeline.environment) : panel("Pipeline", h("p", { class: "small" }, "The facts can't be read now: ", h("code", {}, "stock-pipeline status"), " says why.")),
    pipeline && runs(pipeline.runs, pipeline.dagster),
    unreadable.length > 0 && panel("Files that can't be read", table(["File", "Why"], unreadable)),
  ].filter(Boolean);
}

function panel(title, ...children) {
  return h("section", { class: "panel card", "aria-label": title }, h("h2", {}, title), children);
}

function table(titles, rows) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${titles[0]}, table` },
    h("table", {}, h("thead", {}, h("tr", {}, titles.map((title) => h("th", { scope: "col" }, title)))),
      h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell) => h("td", {}, cell)))))));
}

const ALARMS = { OK: ["good", "ok"], ALARM: ["bad", "rings"], INSUFFICIENT_DATA: ["", "no data"] };

function alarms(list) {
  return panel("Alarms", h("ul", { class: "alarms" }, list.map(({ name, state, reason, runbook }) => {
    const [kind, word] = ALARMS[state] ?? ["", state];
    const badge = h("span", { class: `badge ${kind}` }, `${name}: ${word}`);
    // the runbook has an address where RUNBOOK_URL says so; else it is a file of the project
    const isAddress = /^https?:/.test(runbook);
    return h("li", {}, isAddress ? h("a", { href: runbook, rel: "noopener", title: `What to do about ${name}` }, badge) : badge,
      state === "ALARM" && h("p", { class: "small" }, reason, !isAddress && [" What to do: ", h("code", {}, runbook)]));
  })));
}

function command(text) {
  const done = h("span", { class: "small", role: "status" });
  const copy = h("button", { type: "button", onclick: async () => {
    try {
      await navigator.clipboard.writeText(text);
      done.textContent = "Copied";
    } catch {
      done.textContent = "Select it and copy it by hand";
    }
  } }, "Copy");
  return h("div", { class: "command" }, h("pre", {}, text), copy, done);
}

function deadLetters({ rejected, lines, waiting }, environment) {
  const reasons = entries(rejected);
  if (!reasons.length && !waiting) return panel("Dead letters", h("p", { class: "small" }, "None today. What is no trade would be here, with its reason and its bytes."));
  return panel("Dead letters",
    h("p", {}, reasons.map(([reason, count]) => [h("span", { class: "badge bad" }, `${format.count(count)} ${reason}`), " "])),
    h("p", { class: "small" }, "Once what sent them is mended, put them into the stream again. The first line only shows what would be done:"),
    command(`stock-pipeline redrive --env ${environment} --dry-run`),
    command(`stock-pipeline redrive --env ${environment}`),
    lines.length > 0 && table(["Reason", "Arrived", "What is wrong"], lines.map((line) => [
      h("span", { class: "badge bad" }, line.reason), `${format.timeOf(line.arrivalTime)} ET`,
      [h("span", {}, line.detail), h("details", { "data-key": line.rejectionId }, h("summary", {}, "Payload"), h("pre", {}, line.payload))],
    ])));
}

const STATUSES = { SUCCESS: "good", FAILURE: "bad", CANCELED: "warn" };

function runs(list, dagster) {
  if (!dagster) return panel("Runs", h("p", { class: "small" }, "Dagster is not reached from here: ", h("code", {}, "make ui"), " opens it."));
  const link = h("p", {}, h("a", { href: dagster }, "Open Dagster"));
  if (!list?.length) return panel("Last runs", h("p", { class: "small" }, list ? "None yet." : "Dagster does not answer yet; it takes half a minute to start."), link);
  return panel("Last runs", table(["Job", "Status", "Started", "Took"], list.map((run) => [
    h("a", { href: run.url }, run.job), h("span", { class: `badge ${STATUSES[run.status] ?? ""}` }, run.status.toLowerCase().replace("_", " ")),
    run.startedAt ? `${format.dayAndMinuteOf(run.startedAt)} ET` : format.NOTHING, run.startedAt && run.endedAt ? format.span((Date.parse(run.endedAt) - Date.parse(run.startedAt)) / 1000) : format.NOTHING,
  ])), link);
}
