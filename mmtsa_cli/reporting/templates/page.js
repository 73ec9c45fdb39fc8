"use strict";
(() => {
  const root = document.documentElement;

  // Light and dark: the system's choice until the button is used.
  const theme = document.getElementById("theme");
  const isDark = () => getComputedStyle(root).colorScheme === "dark" ||
    (root.dataset.theme === undefined && matchMedia("(prefers-color-scheme: dark)").matches);
  const nameTheme = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
  theme.hidden = false;
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; nameTheme(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);
  nameTheme();

  // On paper nothing can be opened.
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));

  const tip = document.getElementById("tip");
  document.querySelectorAll("table.confusion").forEach((table) => {
    const body = table.tBodies[0], head = table.tHead.rows[0];
    const first = { readout: table.closest("section").querySelector(".readout"), text: "" };
    first.text = first.readout.textContent;

    // Reading a cell: the classes stand in the heads of its row and column, wherever they are sorted to.
    let at = null;
    const leave = () => {
      if (!at) return;
      [at, at.parentElement.cells[0], head.cells[at.cellIndex]].forEach((e) => e.classList.remove("at", "on"));
      at = null;
      tip.hidden = true;
      first.readout.textContent = first.text;
    };
    const show = (cell, x, y) => {
      if (cell !== at) {
        leave();
        at = cell;
        const row = cell.parentElement, column = head.cells[cell.cellIndex];
        const count = Number(cell.textContent), clips = Number(row.dataset.clips);
        const share = clips ? (100 * count / clips).toFixed(1) : "0.0";
        const truth = row.cells[0].textContent, said = column.textContent;
        const text = truth === said
          ? `${truth}: ${count} of ${clips} clips right (${share} %)`
          : `${truth} taken for ${said}: ${count} of ${clips} clips (${share} %)`;
        tip.textContent = first.readout.textContent = text;
        cell.classList.add("at");
        row.cells[0].classList.add("on");
        column.classList.add("on");
        tip.hidden = false;
      }
      const width = tip.offsetWidth, height = tip.offsetHeight;
      tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 4))}px`;
      tip.style.top = `${y + height + 24 > innerHeight ? y - height - 12 : y + 18}px`;
    };
    body.addEventListener("pointermove", (event) => {
      const cell = event.target.closest("td");
      if (cell) show(cell, event.clientX, event.clientY); else leave();
    });
    body.addEventListener("pointerleave", leave);

    // Sorting: rows and columns in one order.
    const value = {
      label: (row) => Number(row.dataset.at),
      errors: (row) => -Number(row.dataset.errors),
      share: (row) => -Number(row.dataset.errors) / Math.max(1, Number(row.dataset.clips)),
      clips: (row) => -Number(row.dataset.clips),
    };
    const group = table.closest("section").querySelector(".sort");
    group.hidden = false;
    group.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      leave();
      const by = value[button.dataset.sort], now = [...body.rows];
      const places = now.map((_, i) => i);
      places.sort((a, b) => by(now[a]) - by(now[b]) || value.label(now[a]) - value.label(now[b]));
      const inOrder = (row) => { const cells = [...row.cells]; row.append(cells[0], ...places.map((i) => cells[i + 1])); };
      [head, ...now].forEach(inOrder);
      body.append(...places.map((i) => now[i]));
      group.querySelectorAll("button").forEach((b) => b.setAttribute("aria-pressed", String(b === button)));
    });
  });

  // Tables of classes: a click on a head sorts by its column, a second one the other way round.
  document.querySelectorAll("table.classes").forEach((table) => {
    const body = table.tBodies[0];
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (head.classList.contains("wide")) return;
      const name = head.textContent, button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-label", `sort by ${name}`);
      head.append(" ", button);
      const key = (row) => row.cells[column].textContent;
      head.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort");
        const rising = now ? now === "descending" : column === 0;
        const rows = [...body.rows];
        rows.sort((a, b) => column === 0 ? key(a).localeCompare(key(b)) : parseFloat(key(a)) - parseFloat(key(b)));
        if (!rising) rows.reverse();
        [...head.parentElement.cells].forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", rising ? "ascending" : "descending");
        body.append(...rows);
      });
    });
  });
})();
