/* Long tables sort and filter, by DataTables, which lies beside. Without it they are plain. */
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

window.addEventListener("beforeprint", () => long.forEach((table) => table.search("").draw()));
