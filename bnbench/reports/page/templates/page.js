(() => {
  "use strict";
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const { files, constants, texts } = JSON.parse(one("#data").textContent);
  all(".save").forEach((place) => { place.hidden = false; });

  // Light and dark: as the system has it until the reader chooses.
  const root = document.documentElement, theme = one("#theme");
  const remembered = (name, value) => {
    try { return value === undefined ? localStorage.getItem(name) : localStorage.setItem(name, value); } catch { return null; }
  };
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const setTheme = (value) => {
    if (value) root.dataset.theme = value;
    theme.textContent = isDark() ? "Light" : "Dark";
    theme.setAttribute("aria-label", `Show this page ${isDark() ? "light" : "dark"}`);
  };
  theme.hidden = false;
  setTheme(remembered("bnbench-theme"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme());
  theme.addEventListener("click", () => { setTheme(isDark() ? "light" : "dark"); remembered("bnbench-theme", root.dataset.theme); });

  // Files made of what the page holds.
  const save = (blob, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  const unpacked = (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };
  const standalone = (picture) => {
    const svg = picture.cloneNode(true);
    svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    svg.setAttribute("color", "#1b1b1b");
    return new Blob([new XMLSerializer().serializeToString(svg)], { type: "image/svg+xml" });
  };
  const savePng = (picture, name) => {
    const image = new Image(), scale = 3, box = picture.viewBox.baseVal;
    const width = box.width || picture.clientWidth, height = box.height || picture.clientHeight;
    image.onload = () => {
      const canvas = document.createElement("canvas");
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      const context = canvas.getContext("2d");
      context.fillStyle = "#fff";
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.drawImage(image, 0, 0, canvas.width, canvas.height);
      URL.revokeObjectURL(image.src);
      canvas.toBlob((blob) => save(blob, name));
    };
    image.src = URL.createObjectURL(standalone(picture));
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.file) {
      const { name, gzip } = files[button.dataset.file];
      unpacked(gzip).then((text) => save(new Blob([text], { type: "text/csv;charset=utf-8" }), name));
    } else if (button?.dataset.picture) {
      const picture = one(`#${button.dataset.picture} svg`), { kind, name } = button.dataset;
      if (kind === "png") savePng(picture, `${name}.png`); else save(standalone(picture), `${name}.svg`);
    }
  });

  // Printing shows the notes; the style sheet keeps the runs folded.
  let unfolded = [];
  addEventListener("beforeprint", () => {
    unfolded = all("details.notes:not([open])");
    unfolded.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => unfolded.forEach((details) => { details.open = false; }));

  // The list of runs: sorted by a column, found by text, filtered by settings.
  const details = one("#runs");
  if (!details) return;
  const body = one("#runtable tbody"), heads = all("#runtable th[data-name]");
  const names = heads.map((head) => head.dataset.name);
  const rows = all("tr", body).map((row, order) => {
    const cells = [...row.cells];
    const texts = cells.map((cell) => (one("summary", cell) ?? cell).firstChild?.data ?? "");
    const words = cells.map((cell) => cell.textContent).join(" ").toLowerCase();
    return { row, order, texts, words, values: cells.map((cell) => cell.dataset.v) };
  });
  const find = one("#find"), choices = all("#filters select"), count = one("#count");
  let where = new Map();
  one("#filters").hidden = false;

  const plain = (text) => text.replaceAll("_", " ");
  const same = (name, shown, wanted) => shown === wanted
    || (shown === "" && wanted === "null")
    || (!texts.includes(name) && shown !== "" && wanted !== "" && Number(shown) === Number(wanted));
  const fits = (entry, [name, wanted]) => {
    const at = names.indexOf(name);
    const shown = at < 0 ? constants[name] : entry.values[at] ?? entry.texts[at];
    if (shown === undefined) return false;
    const parts = [wanted, ...wanted.split(",")];
    return parts.some((part) => (name === "status" ? plain(shown) === plain(part) : same(name, shown, part)));
  };
  const show = () => {
    const settings = [...where], text = find.value.trim().toLowerCase();
    let shown = 0;
    for (const entry of rows) {
      const fit = (!text || entry.words.includes(text)) && settings.every((setting) => fits(entry, setting));
      entry.row.hidden = !fit;
      shown += fit;
    }
    const others = settings.filter(([name]) => name !== "run_id" && names.includes(name) && !choices.some((choice) => choice.dataset.column === name && choice.value));
    const told = others.map(([name, value]) => `${name}=${value}`).join(", ");
    count.textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} runs${told && ` with ${told}`}`;
  };
  const filter = (settings) => {
    where = new Map(settings);
    for (const choice of choices) {
      const { column } = choice.dataset, wanted = where.get(column) ?? "";
      const option = [...choice.options].find((option) => option.value !== "" && same(column, option.value, wanted));
      choice.value = option ? option.value : "";
    }
    show();
  };
  const readHash = () => {
    const [place, query] = location.hash.slice(1).split("?");
    if (place !== "runs") return;
    filter(new URLSearchParams(query ?? ""));
    details.open = true;
    details.scrollIntoView();
  };
  choices.forEach((choice) => choice.addEventListener("change", () => {
    if (choice.value) where.set(choice.dataset.column, choice.value); else where.delete(choice.dataset.column);
    show();
  }));
  find.addEventListener("input", show);
  one("#filters").addEventListener("submit", (event) => event.preventDefault());
  one("#all").addEventListener("click", () => { find.value = ""; filter([]); });
  all("a[data-where]").forEach((link) => { link.hash = `#runs?${link.dataset.where}`; });
  all('a[data-where], a[href="#runs"]').forEach((link) => link.addEventListener("click", () => {
    find.value = "";
    if (link.hash === location.hash) readHash();  // no hashchange follows
  }));
  addEventListener("hashchange", readHash);

  const compare = (at, sign) => (first, second) => {
    const [x, y] = [first, second].map((entry) => entry.values[at] ?? entry.texts[at]);
    if (x === "" || y === "") return (x === "") - (y === "") || first.order - second.order;
    const difference = Number(x) - Number(y);
    return sign * (Number.isNaN(difference) ? x.localeCompare(y, "en", { numeric: true }) : difference) || first.order - second.order;
  };
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const ascending = head.ariaSort !== "ascending";
      heads.forEach((other) => { other.ariaSort = "none"; });
      head.ariaSort = ascending ? "ascending" : "descending";
      body.append(...rows.toSorted(compare(at, ascending ? 1 : -1)).map((entry) => entry.row));
    });
  });

  body.addEventListener("toggle", (event) => {
    const command = one("code", event.target);
    if (!command || one("button", event.target)) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(command.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(command);
        button.textContent = "Selected";
      }
    });
    command.after(button);
  }, true);
  show();
  readHash();
})();
