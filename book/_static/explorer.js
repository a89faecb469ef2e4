/* Segment and margin in the browser: the same steps as segmentation/geometry.py.
   No network, no dependency. */
"use strict";

const explorer = {
  transformed(value, transform, exponent) {
    if (transform === "log") return Math.sign(value) * Math.log1p(Math.abs(value));
    if (transform !== "yeo-johnson") return value;
    if (value >= 0) {
      return Math.abs(exponent) < 2.220446049250313e-16
        ? Math.log1p(value)
        : Math.expm1(exponent * Math.log1p(value)) / exponent;
    }
    return Math.abs(exponent - 2) > 2.220446049250313e-16
      ? -Math.expm1((2 - exponent) * Math.log1p(-value)) / (2 - exponent)
      : -Math.log1p(-value);
  },

  kindOf(model, customer) {
    if (customer.segment_type) return customer.segment_type;
    if (!model.features.includes("register_to_order")) return Object.keys(model.groups)[0];
    const days = customer.register_to_order;
    if (days === null || days === undefined) return "unregistered";
    return model.splitPreRegister && days < 0 ? "pre_register" : "normal";
  },

  assign(model, customer) {
    const kind = explorer.kindOf(model, customer);
    const group = model.groups[kind];
    if (!group) return null;
    const prepared = group.features.map((name, i) => {
      const low = group.low[i] === null ? -Infinity : group.low[i];
      const high = group.high[i] === null ? Infinity : group.high[i];
      const value = Math.min(Math.max(customer[name], low), high);
      return (
        (explorer.transformed(value, group.transform, group.lambdas[i]) - group.center[i]) /
        group.scale[i]
      );
    });
    const distances = group.centers.map((center) =>
      Math.sqrt(center.reduce((sum, at, i) => sum + (prepared[i] - at) ** 2, 0)),
    );
    const cluster = distances.indexOf(Math.min(...distances));
    const [nearest, second] = [...distances].sort((a, b) => a - b);
    let margin = null;
    if (distances.length > 1) margin = second > 0 ? 1 - nearest / second : 0;
    return { segment_type: kind, cluster, segment: group.names[cluster], margin, distances };
  },

  range(model, name) {
    const pairs = Object.values(model.groups)
      .map((group) => group.sliders[name])
      .filter(Boolean);
    if (!pairs.length) return [0, 1];
    return [Math.min(...pairs.map((p) => p[0])), Math.max(...pairs.map((p) => p[1]))];
  },

  element(tag, properties = {}, children = []) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  },

  start(place) {
    const model = JSON.parse(document.getElementById(place.dataset.model).textContent);
    const first = Object.values(model.groups)[0];
    const customer = {};
    const output = explorer.element("output", { className: "explorer-answer" });
    output.setAttribute("aria-live", "polite");
    const show = () => explorer.show(output, model, customer);
    const rows = model.features.map((name) =>
      explorer.row(model, name, first.medians[name] ?? 0, place.dataset.model, (value) => {
        customer[name] = value;
        show();
      }),
    );
    if (!model.features.includes("register_to_order") && Object.keys(model.groups).length > 1) {
      rows.unshift(explorer.choice(model, customer, show));
    }
    place.replaceChildren(...rows, output);
    place.querySelectorAll("input[type=range]").forEach((slider) =>
      slider.dispatchEvent(new Event("input")),
    );
  },

  choice(model, customer, show) {
    const select = explorer.element(
      "select",
      {},
      Object.entries(model.groups).map(([kind, group]) =>
        explorer.element("option", { value: kind, textContent: group.label }),
      ),
    );
    customer.segment_type = select.value;
    select.addEventListener("change", () => {
      customer.segment_type = select.value;
      show();
    });
    return explorer.element("p", {}, [explorer.element("label", {}, ["Group ", select])]);
  },

  row(model, name, middle, prefix, changed) {
    const [low, high] = explorer.range(model, name);
    const whole = ["count", "days"].includes(model.kinds[name]);
    const id = `${prefix}-${name}`;
    const step = whole ? 1 : "any";
    const bounds = { min: Math.floor(low), max: Math.ceil(high), value: middle };
    const slider = explorer.element("input", { type: "range", id, step, ...bounds });
    const number = explorer.element("input", { type: "number", step: "any", value: middle });
    number.setAttribute("aria-label", model.labels[name]);
    const label = explorer.element("label", { htmlFor: id, textContent: model.labels[name] });
    const children = [label, slider, number];
    let never = null;
    const report = () => changed(never && never.checked ? null : Number(number.value));
    slider.addEventListener("input", () => {
      number.value = Number(slider.value).toFixed(whole ? 0 : 2);
      report();
    });
    number.addEventListener("input", () => {
      slider.value = number.value;
      report();
    });
    if (name === "register_to_order" && model.groups.unregistered) {
      never = explorer.element("input", { type: "checkbox" });
      never.addEventListener("change", report);
      children.push(explorer.element("label", {}, [never, " never registered"]));
    }
    return explorer.element("div", { className: "explorer-row" }, children);
  },

  show(output, model, customer) {
    const found = explorer.assign(model, customer);
    if (!found || found.distances.some(Number.isNaN)) {
      output.replaceChildren("No segment: the model was not fitted on such customers.");
      return;
    }
    const group = model.groups[found.segment_type];
    const margin = found.margin === null ? "" : ` with margin ${found.margin.toFixed(2)}`;
    const items = group.names.map((name, i) =>
      explorer.element("li", { textContent: `${name}: ${found.distances[i].toFixed(2)}` }),
    );
    output.replaceChildren(
      explorer.element("p", {}, [explorer.element("strong", { textContent: found.segment }), margin]),
      explorer.element("p", {
        textContent:
          (Object.keys(model.groups).length > 1 ? `Group: ${group.label}. ` : "") +
          "Distance to each centre:",
      }),
      explorer.element("ul", {}, items),
    );
  },
};

window.explorer = explorer;
document.querySelectorAll(".explorer").forEach(explorer.start);
