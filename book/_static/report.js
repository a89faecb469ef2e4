/* Long tables sort and filter, by DataTables, which lies beside, and long pages fold on a phone.
   Without it all is plain and open. */
"use strict";

const MANY_ROWS = 12;
const FOLDED_ROWS = 10;

const long = [...document.querySelectorAll("article table:not(.findings)")]
  .filter((table) => table.tHead && table.tBodies[0]?.rows.length > MANY_ROWS)
  .map(
    (table) =>
      new DataTable(table, {
        autoWidth: false,
        info: false,
        language: { search: "Find in this table" },
        layout: { topStart: "search", topEnd: null, bottomStart: null, bottomEnd: null },
        order: [],
        paging: false,
      }),
  );

/* On a phone a long table begins with its first rows. */
document.querySelectorAll("article table.report-table").forEach((table) => {
  const rows = table.tBodies[0].rows.length;
  if (rows < FOLDED_ROWS) return;
  const button = document.createElement("button");
  const show = () => table.classList.remove("cut");
  button.className = "show-all";
  button.textContent = `Show all ${rows} rows`;
  button.addEventListener("click", show);
  table.closest(".table-scroll").addEventListener("input", show);
  table.classList.add("cut");
  table.after(button);
});

/* On a phone a page of many screens shows what each part found and its chart; the rest opens. */
const MANY_SCREENS = 8;
const WORTH_FOLDING = 250;
const TALL_CHART = 650;
const MANY_CARDS = 3;

const fold = (parts, name) => {
  const more = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = name;
  more.className = "more";
  parts[0].before(more);
  more.append(summary, ...parts);
};

const foldLong = (parts, name) => {
  const height = parts.reduce((sum, part) => sum + part.offsetHeight, 0);
  if (height > WORTH_FOLDING) fold(parts, name);
};

const room = document.documentElement;
if (matchMedia("screen and (max-width: 700px)").matches && room.scrollHeight > MANY_SCREENS * room.clientHeight) {
  document.querySelectorAll("article .profile-card").forEach((card) => {
    const parts = [...card.children];
    const after = parts.findIndex((part) => part.matches(".profile-features")) + 1;
    if (after && after < parts.length) fold(parts.slice(after), "All features, journeys, cohorts");
  });
  document.querySelectorAll("article :is(.profile-card, .segment-card):first-child").forEach((card) => {
    const rest = [...card.parentElement.children].slice(MANY_CARDS);
    if (rest.length > 1) fold(rest, `${rest.length} more segments`);
  });
  document.querySelectorAll("article > section > section").forEach((section) => {
    const parts = [...section.children].filter((part) => part.offsetHeight);
    if (section.querySelector(":scope > .fold, .segment-card, .profile-card, .sd-dropdown")) return;
    const chart = parts.findIndex((part) => part.querySelector("figure"));
    const tall = chart > 1 && parts[chart].offsetHeight > TALL_CHART;
    const has = (part) => part.querySelector("table") && !part.querySelector(".what-if-sliders");
    const before = chart < 0 ? parts.slice(1) : parts.slice(1, chart);
    const data = (part) => part.matches(".data-link, :has(> .data-link)");
    const withData = (n) => before.slice(n, n + 1 + (n + 1 < before.length && data(before[n + 1])));
    const named = (part) => {
      const caption = part.querySelector("caption");
      return caption ? `Table: ${caption.textContent.split(/[.:;](?=\s|$)|,(?=\s)/)[0].trim()}` : "Table";
    };
    if (parts.length > 2) before.forEach((part, n) => has(part) && foldLong(withData(n), named(part)));
    const text = before.some(has) || chart >= 0 ? [] : before.slice(1);
    const rest = chart < 0 ? text : parts.slice(chart + 1 - tall);
    foldLong(rest, tall ? "Chart and details" : rest.some(has) ? "Table and details" : "Details");
  });
}

/* Paper shows all rows and what decides; what is folded for analysts only if it is open. */
window.addEventListener("beforeprint", () => {
  long.forEach((table) => table.search("").draw());
  document
    .querySelectorAll("article details:is(.sd-dropdown, .more, .segment-card details)")
    .forEach((fold) => (fold.open = true));
});
