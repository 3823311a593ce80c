"use strict";
// Fills the list and the chosen row of diff.html.j2. Everything a model wrote is set as text, never as markup.

const ROW_HEIGHT = 52;
const LCS_CELLS = 4_000_000; // Above this, the middle of two texts is marked as a whole.
const SIGNS = { added: "+", removed: "−", changed: "~", moved: "→" };
const FILTERS = ["status", "task", "strategy", "cause"];
const rows = JSON.parse(document.getElementById("data").textContent);
const searched = rows.map((row) => JSON.stringify([row.row_id, row.detail, row.before, row.after]).toLowerCase());
const list = document.getElementById("list");
let matching = rows.map((_, index) => index);
let chosen = 0;

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

function fillFilters() {
  for (const name of FILTERS) {
    const select = document.getElementById(name);
    const counts = new Map();
    for (const row of rows) counts.set(row[name], (counts.get(row[name]) ?? 0) + 1);
    select.append(new Option(`all (${rows.length})`, "\0"));
    for (const [value, count] of [...counts].sort((a, b) => b[1] - a[1])) {
      select.append(new Option(`${value || "-"} (${count})`, value));
    }
    select.addEventListener("change", filter);
  }
  document.getElementById("text").addEventListener("input", filter);
}

function filter() {
  const wanted = FILTERS.map((name) => [name, document.getElementById(name).value]).filter(([, value]) => value !== "\0");
  const text = document.getElementById("text").value.trim().toLowerCase();
  matching = [];
  rows.forEach((row, index) => {
    if (wanted.every(([name, value]) => row[name] === value) && searched[index].includes(text)) matching.push(index);
  });
  document.getElementById("matches").textContent = `${matching.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} rows`;
  list.scrollTop = 0;
  choose(0);
}

function drawList() {
  const first = Math.max(0, Math.floor(list.scrollTop / ROW_HEIGHT) - 5);
  const last = Math.min(matching.length, first + Math.ceil(list.clientHeight / ROW_HEIGHT) + 10);
  const spacer = element("div");
  spacer.style.height = `${matching.length * ROW_HEIGHT}px`;
  const items = [];
  for (let position = first; position < last; position++) items.push(item(position));
  list.replaceChildren(spacer, ...items);
}

function item(position) {
  const row = rows[matching[position]];
  const made = element("div", "", `item ${row.status}`);
  made.style.top = `${position * ROW_HEIGHT}px`;
  made.setAttribute("role", "option");
  made.setAttribute("aria-selected", String(position === chosen));
  const name = element("div");
  name.append(element("span", SIGNS[row.status], "sign"), element("code", row.row_id.slice(0, 12)), ` ${row.task} ${row.strategy}`);
  made.append(name, element("div", `${row.cause}: ${row.detail}`, "why"));
  made.addEventListener("click", () => choose(position));
  return made;
}

function choose(position) {
  chosen = Math.max(0, Math.min(position, matching.length - 1));
  const top = chosen * ROW_HEIGHT;
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + ROW_HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW_HEIGHT - list.clientHeight;
  drawList();
  drawRow();
}

function drawRow() {
  const article = document.getElementById("row");
  const row = rows[matching[chosen]];
  if (!row) {
    article.replaceChildren(element("p", "No row passes these filters.", "muted"));
    return;
  }
  const sample = row.sample_index ? `, sample ${row.sample_index}` : "";
  const title = element("h2", `${row.status}: ${row.row_id}${sample}`);
  const why = element("p", `${[row.task, row.strategy].filter(Boolean).join(", ")} · ${row.cause}: ${row.detail}`, "muted");
  const both = row.before && row.after;
  const names = Object.keys({ ...row.before, ...row.after });
  const differing = both ? row.fields : names.filter((name) => ["question", "messages", "text", "answer"].includes(name));
  const rest = names.filter((name) => !differing.includes(name));
  const folded = element("details");
  folded.append(element("summary", both ? "columns that are the same" : "the other columns"));
  folded.append(...rest.flatMap((name) => field(name, row)));
  article.replaceChildren(title, why, ...differing.flatMap((name) => field(name, row)), ...(rest.length ? [folded] : []));
  article.scrollTop = 0;
}

function field(name, row) {
  const texts = [row.before, row.after].filter((side) => side && name in side).map((side) => readable(side[name]));
  if (texts.length === 1 || texts[0] === texts[1]) return [element("h3", name), element("div", texts[0], "cell")];
  const sides = element("div", "", "sides");
  sides.append(element("div", "", "cell"), element("div", "", "cell"));
  mark(words(texts[0]), words(texts[1]), ...sides.children);
  return [element("h3", name), sides];
}

function readable(value) {
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.length && value[0].role) return value.map((turn) => `${turn.role}:\n${turn.content}`).join("\n\n");
  return JSON.stringify(value);
}

function words(text) {
  return text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];
}

// Marks what one text has and the other has not, by the longest common subsequence of their words.
function mark(before, after, left, right) {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let end = 0;
  while (end < before.length - start && end < after.length - start && before.at(-1 - end) === after.at(-1 - end)) end++;
  const [old, now] = [before.slice(start, before.length - end), after.slice(start, after.length - end)];
  const kept = common(old, now);
  left.append(before.slice(0, start).join(""), ...spans(old, kept.map((pair) => pair[0]), "del"), before.slice(before.length - end).join(""));
  right.append(after.slice(0, start).join(""), ...spans(now, kept.map((pair) => pair[1]), "ins"), after.slice(after.length - end).join(""));
}

function spans(tokens, kept, name) {
  const same = new Set(kept);
  const made = [];
  for (let i = 0; i < tokens.length; ) {
    let j = i;
    while (j < tokens.length && same.has(j) === same.has(i)) j++;
    const text = tokens.slice(i, j).join("");
    made.push(same.has(i) ? text : element(name, text));
    i = j;
  }
  return made;
}

function common(old, now) {
  const width = now.length + 1;
  if ((old.length + 1) * width > LCS_CELLS) return [];
  const lengths = new Uint32Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      lengths[i * width + j] =
        old[i] === now[j] ? lengths[(i + 1) * width + j + 1] + 1 : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
    }
  }
  const pairs = [];
  for (let i = 0, j = 0; i < old.length && j < now.length; ) {
    if (old[i] === now[j]) pairs.push([i++, j++]);
    else if (lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]) i++;
    else j++;
  }
  return pairs;
}

list.addEventListener("scroll", drawList, { passive: true });
list.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  choose(chosen + step);
});
fillFilters();
filter();
