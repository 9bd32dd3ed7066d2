"use strict";
// Pages by the fragment of the address, drawn from the data in the page. No library: tables, and three kinds of chart in SVG,
// which screen readers can read and which print. uPlot, the smallest chart library looked at, draws on a canvas, and its 51 kB
// are twice all that this page has of its own.
const data = JSON.parse(document.getElementById("data").textContent);
const main = document.getElementById("main");
const OUTCOMES = ["broken", "error", "inconclusive", "held", "skipped", "not run"];

function h(tag, attributes, ...children) {
  const svg = ["svg", "rect", "text", "line", "circle", "title", "g"].includes(tag);
  const one = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") one.addEventListener(name, value);
    else if (value !== false && value !== null && value !== undefined) one.setAttribute(name, value);
  }
  one.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return one;
}
const link = (to, ...text) => h("a", { href: "#/" + to }, ...text);
const outcome = (name) => h("span", { class: "outcome " + name.replace(" ", "-") }, name);
const seconds = (value) => (value === null ? "" : value < 10 ? value.toFixed(2) : value.toFixed(1));
const when = (text) => text.slice(0, 16).replace("T", " ");
const counted = (counts) => OUTCOMES.filter((one) => counts[one]).map((one) => counts[one] + " " + one).join(", ");
const cellName = (cell) => `Istio ${cell.istio}, Envoy Gateway ${cell.envoy_gateway}, Kubernetes ${cell.kubernetes}`;
const many = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const heading = (text) => h("h1", {}, text);

function counts(run) {
  const found = {};
  for (const [, what] of run.verdicts) found[what] = (found[what] || 0) + 1;
  return found;
}

function table(caption, heads, rows) {
  const head = heads.map((one) => h("th", { scope: "col", class: one.number ? "number" : false }, one.name || one));
  const body = rows.map((row) =>
    h("tr", {}, row.map((cell, n) => h("td", { class: heads[n] && heads[n].number ? "number" : false }, cell))));
  const whole = h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, head)), h("tbody", {}, body));
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption }, whole);
}

// Charts. Each has a text in its title; the figures stand in a table beside it.
function bars(label, rows) {
  const most = Math.max(...rows.map((row) => row.value), 0.001), height = rows.length * 22;
  return h("svg", { viewBox: `0 0 720 ${height}`, width: 720, height, role: "img", "aria-label": label },
    rows.map((row, n) => [
      h("text", { x: 255, y: n * 22 + 15, "text-anchor": "end" }, row.name.slice(0, 40)),
      h("rect", { class: row.failed ? "lost" : "bar", x: 262, y: n * 22 + 4, height: 14, rx: 2,
        width: Math.max(1, (row.value / most) * 380) }, h("title", {}, `${row.name}: ${seconds(row.value)} s`)),
      h("text", { x: 268 + (row.value / most) * 380, y: n * 22 + 15 }, `${seconds(row.value)} s`),
    ]));
}
function ranges(label, rows) {
  const most = Math.max(...rows.map((row) => row.max), 0.001), height = rows.length * 22;
  const x = (value) => 262 + (value / most) * 380;
  return h("svg", { viewBox: `0 0 720 ${height}`, width: 720, height, role: "img", "aria-label": label },
    rows.map((row, n) => [
      h("text", { x: 255, y: n * 22 + 15, "text-anchor": "end" }, row.name.slice(0, 40)),
      h("rect", { class: "bar", x: x(row.min), y: n * 22 + 9, height: 4, width: Math.max(1, x(row.max) - x(row.min)) }),
      h("circle", { class: "bar", cx: x(row.median), cy: n * 22 + 11, r: 5 },
        h("title", {}, `${row.name}: ${seconds(row.min)} / ${seconds(row.median)} / ${seconds(row.max)} s of ${row.n}`)),
      h("text", { x: x(row.max) + 9, y: n * 22 + 15 }, `${seconds(row.median)} s`),
    ]));
}
function timeline(one) {
  const most = Math.max(...one.bins.map(([served, lost]) => served + lost), 1), width = 720 / one.bins.length;
  const lost = one.bins.reduce((sum, bin) => sum + bin[1], 0), x = (at) => (at / one.seconds) * 720;
  const label = `${one.client}: ${lost} requests lost in ${seconds(one.seconds)} s; ` +
    one.events.map((event) => `${event.what} at ${seconds(event.began)} s`).join(", ");
  return h("figure", {},
    h("svg", { viewBox: "0 0 720 64", width: 720, height: 64, role: "img", "aria-label": label },
      one.events.map((event) => h("rect", { class: "event", x: x(event.began), y: 0, height: 64,
        width: Math.max(2, x(event.ended) - x(event.began)) }, h("title", {}, event.what))),
      one.bins.map(([served, gone], n) => {
        const top = (served / most) * 50, under = (gone / most) * 50;
        return [
          h("rect", { class: "served", x: n * width, y: 56 - top, width: width - 1, height: top }),
          h("rect", { class: "lost", x: n * width, y: 56 - top - under, width: width - 1, height: under }),
        ];
      }),
      h("line", { class: "axis", x1: 0, x2: 720, y1: 57, y2: 57 })),
    h("figcaption", { class: "dim" }, label));
}

// Pages
function matrix() {
  const axis = (key) => [...new Set(data.cells.map(key))];
  const columns = axis((cell) => cell.envoy_gateway), rows = axis((cell) => `${cell.istio} on ${cell.kubernetes}`);
  columns.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const at = new Map(data.cells.map((cell, n) => [`${cell.istio} on ${cell.kubernetes} ${cell.envoy_gateway}`, n]));
  const body = rows.map((row) => h("tr", {}, h("th", { scope: "row" }, "Istio " + row.replace(" on ", ", Kubernetes ")),
    columns.map((column) => {
      const n = at.get(`${row} ${column}`), cell = data.cells[n];
      return h("td", {}, cell
        ? h("a", { class: "cell " + cell.outcome, href: "#/cell/" + n, "aria-label": `${cellName(cell)}: ${cell.outcome}` },
          h("strong", { class: "outcome " + cell.outcome }, cell.outcome), h("span", {}, counted(cell.counts)))
        : h("span", { class: "cell" }, h("span", { class: "dim" }, "not run")));
    })));
  const changes = data.cells.flatMap((cell) => cell.changed);
  return [heading("Which versions hold together"),
    h("p", {}, `${many(data.claims.length, "claim")}, judged in ${many(data.runs.length, "run")} on clusters with Istio ambient and Envoy Gateway. ` +
      "A cell holds when all its claims do; its newest verdict on each claim counts."),
    data.cells.length ? h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Version matrix" },
      h("table", { class: "matrix" }, h("caption", {}, "Versions of Istio by versions of Envoy Gateway"),
        h("thead", {}, h("tr", {}, h("td", {}), columns.map((one) => h("th", { scope: "col" }, "Envoy Gateway " + one)))),
        h("tbody", {}, body))) : h("p", {}, "No run on a real cluster is here: emulated runs are no conformance."),
    upgradeTable(), suiteTable(),
    data.failed.length ? table("Cells without a run", ["Cell", "Why"], data.failed.map((one) => [one.name, one.why])) : "",
    h("p", {}, changes.length ? link("changes", `${many(changes.length, "verdict")} changed`) : "No verdict changed between runs of one cell.")];
}

// An upgrade is between two versions: a row for each way, or one for a run that tabulated none.
function upgradeTable() {
  const rows = data.upgrades.flatMap((one) => {
    const path = (row) => row.path || `Istio ${one.istio}, Envoy Gateway ${one.envoy_gateway} to ${one.to}`;
    const verdict = () => [link("run/" + one.run, outcome(one.outcome), " ", counted(one.counts)), seconds(one.seconds)];
    return (one.paths.length ? one.paths : [{}]).map((row) => [path(row), row.order || "", one.kubernetes, ...verdict(),
      row.sent || "", row.lost || "", row["longest outage ms"] || "", row["definitions rejected"] || "", row["enforced differently"] || ""]);
  });
  return rows.length ? [h("h2", {}, "Upgrades under load"), table("Upgrades there and back", ["Upgrade", "Order", "Kubernetes", "Verdicts of the run",
    ...["Seconds", "Requests sent", "Lost", "Longest outage, ms", "Definitions rejected"].map((name) => ({ name, number: true })),
    "Enforced differently"], rows)] : "";
}

// A run of the Gateway API's conformance suite: what the suite itself counts, and our verdicts on it.
function suiteTable() {
  const columns = ["passed", "failed", "skipped", "held", "broken", "inconclusive", "longest wait", "HBONE connections", "to waypoint"];
  const rows = data.conformance.flatMap((one) => one.figures.map((row) => [
    link("run/" + one.run, `Istio ${one.istio}, Envoy Gateway ${one.envoy_gateway}`), one.kubernetes, row.run, ...columns.map((name) => row[name])]));
  return rows.length ? [h("h2", {}, "The Gateway API's conformance suite"), table("What the suite counts, and verdicts that also judge who answered", [
    "Versions", "Kubernetes", "Run", ...columns.map((name) => ({ name: name[0].toUpperCase() + name.slice(1), number: true }))], rows)] : "";
}

function verdictRows(entries) {
  return entries.map(({ claim, what, run, took }) => [outcome(what),
    h("span", {}, link(`claim/${claim}/${run}`, data.claims[claim].text)), data.claims[claim].area.replaceAll("_", " "),
    took === undefined ? link("run/" + run, when(data.runs[run].started)) : seconds(took)]);
}

// A table of verdicts with filters that are part of the address, so that a link keeps them.
function filtered(title, entries, last, query) {
  const areas = [...new Set(entries.map((one) => data.claims[one.claim].area))].sort();
  const words = h("input", { type: "search", id: "words", name: "q", value: query.get("q") || "" });
  const choice = (name, values) => h("select", { id: name, name }, h("option", { value: "" }, "all"),
    values.map((one) => h("option", { value: one, selected: query.get(name) === one ? "" : false }, one)));
  const kind = choice("outcome", OUTCOMES), area = choice("area", areas);
  const found = h("p", { role: "status", class: "dim" }), place = h("div", {});
  const draw = () => {
    const text = words.value.toLowerCase();
    const shown = entries.filter((one) => (!kind.value || one.what === kind.value) &&
      (!area.value || data.claims[one.claim].area === area.value) &&
      (!text || (data.claims[one.claim].text + " " + data.claims[one.claim].id).toLowerCase().includes(text)));
    found.textContent = `${shown.length} of ${entries.length} claims`;
    place.replaceChildren(table(title, ["Verdict", "Claim", "Area", last], verdictRows(shown)));
  };
  const keep = () => {
    const set = new URLSearchParams(Object.entries({ q: words.value, outcome: kind.value, area: area.value }).filter((one) => one[1]));
    const address = location.hash.split("?")[0] + (set.size ? "?" + set : "");
    history.replaceState(null, "", address);
    draw();
  };
  draw();
  return [h("form", { submit: (event) => event.preventDefault(), input: keep, role: "search" },
    h("label", {}, "Words in the claim", words), h("label", {}, "Verdict", kind), h("label", {}, "Area", area)), found, place];
}

const worstFirst = (entries) => entries.sort((a, b) => OUTCOMES.indexOf(a.what) - OUTCOMES.indexOf(b.what));

function cellPage([n], query) {
  const cell = data.cells[n];
  const entries = Object.entries(cell.verdicts).map(([claim, [what, run]]) => ({ claim: +claim, what, run }));
  return [heading(cellName(cell)), h("p", {}, outcome(cell.outcome), " ", counted(cell.counts)),
    cell.unsteady.length ? [h("h2", {}, "Claims whose verdict differs between runs"),
      table("Verdicts from the oldest to the newest", ["Claim", "Verdicts"], cell.unsteady.map((one) =>
        [link(`claim/${one.claim}/${one.outcomes.at(-1)[1]}`, data.claims[one.claim].text),
          one.outcomes.map(([what, run]) => [link("run/" + run, what), " "])]))] : "",
    filtered("Verdicts of this cell", worstFirst(entries), "Run", query)];
}

function runPage([n], query) {
  const run = data.runs[n], stages = run.stages.filter((one) => one[1] !== null);
  const entries = run.verdicts.map(([claim, what, took]) => ({ claim, what, run: +n, took }));
  const others = data.runs.map((one, m) => [one, m]).filter(([one, m]) => m !== +n && one.verdicts.length);
  const pick = h("select", { id: "other", change: (event) => { location.hash = `#/compare/${event.target.value}/${n}`; } },
    h("option", { value: "" }, "choose a run"), others.map(([one, m]) => h("option", { value: m }, `${when(one.started)} ${one.set}`)));
  return [heading("Run of " + when(run.started)),
    h("p", {}, `${run.conformance ? "" : "EMULATED: not conformance. "}Cluster ${run.cluster}, version set ${run.set}. `,
      counted(counts(run)), run.why ? ` (${run.why})` : "", run.finished ? "" : " This run did not end."),
    others.length ? h("form", {}, h("label", {}, "Compare with", pick)) : "",
    filtered("Verdicts of this run", worstFirst(entries), "Seconds", query),
    run.times.length ? [h("h2", {}, "Times"), ranges("Minimum, median and maximum of each figure", run.times),
      table("Seconds", ["Figure", "Of", { name: "n", number: 1 }, { name: "Min", number: 1 }, { name: "Median", number: 1 }, { name: "Max", number: 1 }],
        run.times.map((one) => [one.name, one.of, one.n, seconds(one.min), seconds(one.median), seconds(one.max)]))] : "",
    stages.length ? [h("h2", {}, "Stages"), bars("Seconds of each stage", stages.map(([name, value, failed]) => ({ name, value, failed })))] : "",
    run.timelines.length ? [h("h2", {}, "Requests while something was disrupted"), run.timelines.map(timeline)] : "",
    Object.entries(run.tables).map(([title, rows]) => [h("h2", {}, title),
      table(title, Object.keys(rows[0] || {}), rows.map((row) => Object.values(row)))]),
    h("h2", {}, "Versions"), table("Versions as observed", ["Component", "Version"], Object.entries(run.versions))];
}

function claimPage([n, chosen]) {
  const claim = data.claims[n], seen = [];
  data.runs.forEach((run, m) => run.verdicts.forEach(([one, what, took]) => { if (one === +n) seen.push({ run, m, what, took }); }));
  const now = seen.find((one) => one.m === +chosen) || seen.at(-1), detail = now.run.details[n] || {};
  const witnesses = data.witnesses[detail.witnesses] || [], path = detail.path === undefined ? claim.path : detail.path;
  return [heading(claim.text), h("p", { class: "dim" }, claim.id),
    h("p", {}, outcome(now.what), ` in the run of ${when(now.run.started)}, ${seconds(now.took)} s`,
      witnesses.length ? `. Witnesses: ${witnesses.join(", ")}` : ""),
    detail.reason ? h("pre", { tabindex: "0" }, detail.reason) : "",
    detail.figures ? table("Times", ["Figure", "Of", { name: "Seconds", number: 1 }],
      detail.figures.map(([name, value, of]) => [name, of, seconds(value)])) : "",
    (detail.evidence || []).map((file) => [
      file.hops && file.hops.length ? [h("h2", {}, "Path of a request"), h("ol", { class: "hops" }, file.hops.map((hop) =>
        h("li", { class: hop.inner ? "inner" : false }, h("strong", {}, hop.kind), " ", h("span", {}, hop.pod), " ",
          h("span", { class: "dim" }, hop.text))))] : "",
      h("details", {}, h("summary", {}, file.name), h("pre", { tabindex: "0" }, file.text))]),
    path ? h("p", { class: "dim" }, `All evidence: ${now.run.name}/${path}`) : "",
    h("h2", {}, "In all runs"),
    table("Verdicts, the newest first", ["Verdict", "Run", "Cluster", "Version set", { name: "Seconds", number: 1 }],
      seen.reverse().map((one) => [link(`claim/${n}/${one.m}`, one.what), link("run/" + one.m, when(one.run.started)),
        one.run.cluster, one.run.set, seconds(one.took)]))];
}

function claimsPage(_, query) {
  const newest = new Map();
  data.runs.forEach((run, m) => run.verdicts.forEach(([claim, what]) => newest.set(claim, { claim, what, run: m })));
  return [heading("Claims"), h("p", {}, "Each claim with its newest verdict, on any cluster."),
    filtered("Newest verdicts", worstFirst([...newest.values()]), "Run", query)];
}

const runsPage = () => [heading("Runs"), table("From the newest to the oldest", ["Run", "Cluster", "Version set", "Verdicts"],
  data.runs.map((run, n) => [link("run/" + n, when(run.started)), run.cluster + (run.conformance ? "" : " (not conformance)"),
    run.set, counted(counts(run)) + (run.finished ? "" : ", not ended")]).reverse())];

function changesPage() {
  const rows = data.cells.flatMap((cell, n) => cell.changed.map((one) => [link("cell/" + n, cellName(cell)),
    link(`claim/${one.claim}/${one.runs[1]}`, data.claims[one.claim].text), outcome(one.before), outcome(one.after),
    link(`compare/${one.runs[0]}/${one.runs[1]}`, when(data.runs[one.runs[1]].started))]));
  return [heading("What changed"), h("p", {}, "The newest verdict of each cell against the one before it."),
    rows.length ? table("Verdicts that changed", ["Cell", "Claim", "Before", "After", "Run"], rows) : h("p", {}, "Nothing changed.")];
}

function comparePage([a, b]) {
  const [before, after] = [a, b].map((n) => new Map(data.runs[n].verdicts.map(([claim, what]) => [claim, what])));
  const all = [...new Set([...before.keys(), ...after.keys()])];
  const rows = all.map((claim) => [claim, before.get(claim) || "not run", after.get(claim) || "not run"])
    .sort((x, y) => (y[1] !== y[2]) - (x[1] !== x[2]));
  const differ = rows.filter((row) => row[1] !== row[2]).length;
  return [heading("Two runs compared"), h("p", {}, `${differ} of ${rows.length} verdicts differ; they come first.`),
    table("Verdicts side by side", ["Claim", "Run of " + when(data.runs[a].started), "Run of " + when(data.runs[b].started)],
      rows.map(([claim, x, y]) => [link(`claim/${claim}/${b}`, data.claims[claim].text), outcome(x), outcome(y)]))];
}

function supportPage() {
  const cells = data.support.cells, at = new Map(cells.map((one) => [[one.area, one.feature, one.set, one.place].join("\n"), one]));
  const columns = [...new Set(cells.map((one) => one.set + "\n" + one.place))].sort();
  const areas = [...new Set(cells.map((one) => one.area))].sort();
  const run = new Map(data.runs.map((one, n) => [one.name, n])), claim = new Map(data.claims.map((one, n) => [one.id, n]));
  const cell = (one) => one ? h("a", { href: `#/claim/${claim.get(one.evidence[0].test)}/${run.get(one.evidence[0].run)}`,
    class: "outcome " + one.support }, one.support) : "";
  return [heading("Support by feature and place"),
    cells.length ? h("ul", {}, Object.entries(data.support.legend).map(([name, text]) => h("li", {}, h("strong", {}, name), ": ", text)))
      : h("p", {}, "No run on a real cluster tried a feature."),
    areas.map((area) => {
      const rows = [...new Set(cells.filter((one) => one.area === area).map((one) => one.feature))];
      return [h("h2", {}, area.replaceAll("_", " ")), table(`Features: ${area.replaceAll("_", " ")}`,
        ["Feature", ...columns.map((one) => one.replace("\n", ", "))],
        rows.map((feature) => [feature, ...columns.map((one) => cell(at.get([area, feature, one].join("\n"))))]))];
    })];
}

const PAGES = { "": matrix, cell: cellPage, run: runPage, claim: claimPage, claims: claimsPage, runs: runsPage,
  changes: changesPage, compare: comparePage, support: supportPage };

function draw() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/"), page = PAGES[name === "main" ? "" : name];
  let content;
  try {
    content = page(rest, new URLSearchParams(query || ""));
  } catch (error) {
    content = [heading("There is no such page"), h("p", {}, link("", "To the matrix"))];
  }
  main.replaceChildren(...content.flat(Infinity).filter(Boolean));
  document.title = main.querySelector("h1").textContent + " · Envoy Gateway on Istio ambient";
  for (const one of document.querySelectorAll("nav a")) {
    if (one.getAttribute("href") === "#/" + name) one.setAttribute("aria-current", "page");
    else one.removeAttribute("aria-current");
  }
}
addEventListener("hashchange", () => { draw(); main.focus(); scrollTo(0, 0); });
document.getElementById("made").textContent = `Made ${when(data.made)} UTC from ${many(data.runs.length, "run")}` +
  (data.planted ? `; ${many(data.planted, "run")} under a planted fault left out.` : ".");
draw();
