/* Long tables sort and filter, by DataTables, which lies beside. Without it all is plain and open. */
"use strict";

const MANY_ROWS = 12;

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

/* On a phone the warning is one line, which opens. */
if (matchMedia("(max-width: 700px)").matches)
  document.querySelectorAll(".front-warning").forEach((warning) => (warning.open = false));

/* Paper shows all rows and what is folded, code and its long outputs apart. */
window.addEventListener("beforeprint", () => {
  long.forEach((table) => table.search("").draw());
  document
    .querySelectorAll("article details:is(.fold, .front-warning, :not([class]))")
    .forEach((fold) => (fold.open = true));
});
