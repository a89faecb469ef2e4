/* Recommendations at another margin, cost and budget: the same steps as segmentation/actions/what_if.py. */
"use strict";

const whatIf = {
  table(parts, margin, cost, budget) {
    const rows = parts.map((part) => {
      const worth = margin * part.response_value;
      const breakEven = worth > 0 ? cost / worth : Infinity;
      const known = part.base !== null;
      const rise = known ? Math.min(part.plausible_rise * part.base, part.plausible_part * (1 - part.base)) : 1;
      const contact = part.is_play && cost <= Math.max(worth, 0) * rise;
      const shown = known && part.detectable !== null && part.detectable <= breakEven;
      return { ...part, breakEven, contact, supported: contact && shown && part.is_steady };
    });
    rows.sort((a, b) => b.contact - a.contact || b.supported - a.supported);
    let left = budget;
    return rows.map((row) => {
      const paid = cost > 0 ? Math.floor(left / cost + 1e-9) : row.first;
      const contacts = row.contact ? Math.min(row.first, paid) : 0;
      left -= contacts * cost;
      const needed = contacts ? Math.ceil(row.breakEven * contacts - 1e-9) : 0;
      return { ...row, contacts, needed };
    });
  },

  money(value, sign) {
    if (value >= 100) return sign + Math.floor(value + 0.5).toLocaleString("en-US");
    return sign + (Math.floor(100 * value + 0.5) / 100).toFixed(2);
  },

  mustOrder(share, dearer) {
    if (!(share <= 1)) return "more than all";
    const few = share > 0 && share < 0.0005 ? "under 0.1%" : `${(100 * share).toFixed(1)}%`;
    const mean = dearer ? whatIf.mustOrder(share / dearer) : few;
    return mean !== few ? `${few} (${mean} by the mean order)` : few;
  },

  cells(row, cost, sign) {
    const count = (n) => n.toLocaleString("en-US");
    const advice = row.supported ? "contact half, compare" : "first a trial of half";
    const ends = row.contacts < row.first ? ", budget ends" : "";
    return [
      row.name,
      row.contact ? advice : row.is_play ? "do not contact at this cost" : row.play,
      whatIf.mustOrder(row.breakEven, row.dearer),
      row.contact ? `${count(row.contacts)} of ${count(row.customers)}${ends}` : "–",
      row.contact ? whatIf.money(row.contacts * cost, sign) : "–",
      row.contact ? count(row.needed) : "–",
      row.contact ? whatIf.money(row.customers * cost, sign) : "–",
    ];
  },

  start(place) {
    const parts = JSON.parse(place.querySelector("script").textContent);
    const sliders = [...place.querySelectorAll("input")];
    const own = sliders.map((slider) => Number(slider.value));
    const body = place.querySelector("tbody");
    const asBuilt = body.innerHTML;
    const heads = [...place.querySelectorAll("th")].map((head) => head.textContent);
    const show = () => {
      const [margin, cost, budget] = sliders.map((slider) => Number(slider.value));
      sliders.forEach((slider) => {
        const { before, after } = slider.dataset;
        const said = before + Number(slider.value).toLocaleString("en-US") + after;
        slider.setAttribute("aria-valuetext", said);
        slider.previousElementSibling.textContent = said;
      });
      if (sliders.every((slider, n) => Number(slider.value) === own[n])) {
        body.innerHTML = asBuilt;
        return;
      }
      const rows = whatIf.table(parts, margin / 100, cost, budget);
      body.replaceChildren(
        ...rows.map((row) => {
          const made = document.createElement("tr");
          whatIf.cells(row, cost, sliders[1].dataset.before).forEach((text, n) => {
            const cell = made.insertCell();
            cell.textContent = text;
            cell.className = n > 1 ? "num" : "";
            if (n) cell.dataset.label = heads[n];
          });
          return made;
        }),
      );
    };
    sliders.forEach((slider) => slider.addEventListener("input", show));
    place.querySelector("button").addEventListener("click", () => {
      sliders.forEach((slider, n) => (slider.value = own[n]));
      show();
    });
    let kept = own;
    matchMedia("print").addEventListener("change", (print) => {
      if (print.matches) kept = sliders.map((slider) => slider.value);
      sliders.forEach((slider, n) => (slider.value = (print.matches ? own : kept)[n]));
      show();
    });
    place.querySelector(".what-if-sliders").hidden = false;
    show();
  },
};

if (typeof module === "undefined") document.querySelectorAll(".what-if").forEach(whatIf.start);
else module.exports = whatIf;
