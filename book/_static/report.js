/* Long tables sort and filter, by DataTables, which lies beside. Without it all is plain and open. */
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

/* Paper shows all rows and what decides; what is folded for analysts only if it is open. */
window.addEventListener("beforeprint", () => {
  long.forEach((table) => table.search("").draw());
  document
    .querySelectorAll("article details:is(.sd-dropdown, .segment-card details)")
    .forEach((fold) => (fold.open = true));
});
