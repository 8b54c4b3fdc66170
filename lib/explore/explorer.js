// Makes the sliders of every explorer on the page that has none yet. The frames come as one list of unique
// lines, the first frame as indices into it, and every frame as edits [from, to, indices] of the first.
(() => {
  const start = (box) => {
    box.dataset.ready = "";
    const data = JSON.parse(box.querySelector("script[type='application/json']").textContent);
    const number = document.querySelectorAll(".lib-explorer[data-ready]").length;
    const state = data.first.slice();

    const svg = (frame) => {
      const lines = data.base.slice();
      for (const [from, to, indices] of data.frames[frame].slice().reverse())
        lines.splice(from, to - from, ...indices);
      // Two explorers may use the same names for their clip paths.
      return lines.map((k) => data.lines[k]).join("\n")
        .replace(/( id="|url\(#|href="#)/g, `$1e${number}-`);
    };

    const make = (tag, properties, ...children) => {
      const element = Object.assign(document.createElement(tag), properties);
      element.append(...children);
      return element;
    };

    const picture = make("div", { className: "lib-explorer-picture" });
    picture.setAttribute("role", "img");
    const rows = data.sliders.map((slider, k) => {
      const id = `explorer-${number}-${k}`;
      const range = make("input", { type: "range", id, min: 0, max: slider.values.length - 1, step: 1 });
      const value = make("output", { htmlFor: id });
      range.addEventListener("input", () => { state[k] = Number(range.value); show(); });
      const row = make("div", { className: "lib-explorer-row" },
        make("label", { htmlFor: id, textContent: slider.label }), range, value);
      return { row, range, value, slider };
    });
    const finding = box.querySelector(".lib-explorer-finding");
    const reset = make("button", { type: "button", textContent: "Reset" });
    reset.addEventListener("click", () => { state.splice(0, state.length, ...data.first); show(); });

    const show = () => {
      let frame = 0;
      rows.forEach(({ range, value, slider }, k) => {
        frame = frame * slider.values.length + state[k];
        range.value = state[k];
        range.setAttribute("aria-valuetext", `${slider.spoken} = ${slider.values[state[k]]}`);
        value.textContent = slider.values[state[k]];
      });
      picture.innerHTML = svg(frame);
      picture.firstElementChild.setAttribute("aria-hidden", "true"); // the box around it speaks for it
      picture.setAttribute("aria-label", data.spoken[frame]);
      finding.textContent = data.findings[frame];
    };

    show();
    finding.setAttribute("aria-live", "polite");
    box.querySelector("img").replaceWith(picture);
    picture.after(...rows.map(({ row }) => row));
    const foot = make("div", { className: "lib-explorer-foot" }, reset);
    finding.replaceWith(foot);
    foot.prepend(finding);
  };
  document.querySelectorAll(".lib-explorer:not([data-ready])").forEach(start);
})();
