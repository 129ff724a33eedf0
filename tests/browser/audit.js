// Runs in every page before its own scripts. `window.auditPage()` names what would keep somebody from using the page:
// a list of lines, empty when nothing was found. Contrast is that of WCAG 2.2 (1.4.3), without its discount for large
// text. Symbol fonts and disabled controls are left out, as there.
(() => {
  const CONTRAST = 4.5;
  const OWN_NAMES = "input, select, textarea";
  const pixel = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

  /** The colour as [red, green, blue, alpha], 0–255 and 0–1, whatever notation it has. */
  function read(colour) {
    pixel.clearRect(0, 0, 1, 1);
    pixel.fillStyle = colour;
    pixel.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = pixel.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  }

  const over = (above, below) => [0, 1, 2].map((i) => above[i] * above[3] + below[i] * (1 - above[3])).concat(1);

  /** What stands behind an element, or null where a picture does. */
  function backdrop(element) {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.backgroundImage !== "none") return null;
      const colour = read(style.backgroundColor);
      layers.push(colour);
      if (colour[3] === 1) break;
    }
    const canvas = read(getComputedStyle(document.documentElement).colorScheme.includes("dark")
      && matchMedia("(prefers-color-scheme: dark)").matches ? "#121212" : "#ffffff");
    return layers.reduceRight((below, above) => over(above, below), canvas);
  }

  function luminance(colour) {
    const [red, green, blue] = colour.map((part) => part / 255).map((part) =>
      part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }

  function contrast(element, style) {
    const behind = backdrop(element);
    if (!behind) return Infinity;
    let front = read(style.color);
    for (let at = element; at; at = at.parentElement) front[3] *= Number(getComputedStyle(at).opacity);
    const [low, high] = [luminance(over(front, behind)), luminance(behind)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  }

  const isShown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });

  function describe(element) {
    const name = element.tagName.toLowerCase() + (element.id ? `#${element.id}` : "");
    const text = (element.innerText ?? "").trim().replace(/\s+/g, " ").slice(0, 40);
    return text ? `${name} “${text}”` : element.outerHTML.replace(/\s+/g, " ").slice(0, 120);
  }

  /** The name that a screen reader says, near enough to tell whether there is one. */
  function nameOf(element) {
    const labelled = (element.getAttribute("aria-labelledby") ?? "").split(/\s+/).filter(Boolean)
      .map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
    const labels = [...(element.labels ?? [])].map((label) => label.textContent).join(" ");
    const alternatives = [...element.querySelectorAll("img[alt], [title]")].map((part) => part.alt || part.title).join(" ");
    const own = element.matches(OWN_NAMES) ? (element.type === "submit" ? element.value : "") : element.textContent;
    return [labelled, element.getAttribute("aria-label"), labels, own, alternatives, element.title]
      .find((text) => text && text.trim()) ?? "";
  }

  function* frame() {
    if (!document.title.trim()) yield "the page has no title";
    if (!document.documentElement.lang) yield "the page does not say its language";
    if (!document.querySelector("meta[name=viewport]")) yield "the page does not fit small screens (no viewport)";
    if (!document.querySelector("main, [role=main]")) yield "the page has no main part";
    const seen = new Set();
    for (const { id } of document.querySelectorAll("[id]")) {
      if (seen.has(id)) yield `two elements have the id ${id}`;
      seen.add(id);
    }
  }

  function* headings() {
    const all = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(isShown);
    const first = all.filter((heading) => heading.tagName === "H1").length;
    if (first !== 1) yield `the page has ${first} headings of the first level`;
    let level = 0;
    for (const heading of all) {
      const next = Number(heading.tagName[1]);
      if (next > level + 1) yield `a heading of level ${next} follows level ${level}: ${describe(heading)}`;
      level = next;
    }
  }

  function* names() {
    for (const image of document.querySelectorAll("img:not([alt])")) yield `no alternative text: ${describe(image)}`;
    for (const field of document.querySelectorAll(`${OWN_NAMES}, button, a[href], [role=button]`)) {
      if (field.type !== "hidden" && isShown(field) && !nameOf(field)) yield `no label or name: ${describe(field)}`;
    }
    for (const table of document.querySelectorAll("table")) {
      if (isShown(table) && !table.querySelector("th")) yield `a table without headers: ${describe(table)}`;
    }
  }

  function* colours() {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const seen = new Set();
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const element = node.parentElement;
      if (!node.data.trim() || seen.has(element) || !isShown(element)) continue;
      seen.add(element);
      const style = getComputedStyle(element);
      if (style.fontFamily.includes("Material Symbols") || element.closest(":disabled")) continue;
      if (element.matches("script, style, noscript, option")) continue;
      const box = element.getBoundingClientRect();
      if (box.width <= 1 || box.height <= 1) continue;
      const found = contrast(element, style);
      if (found < CONTRAST) yield `contrast ${found.toFixed(2)}: ${describe(element)}`;
    }
    for (const field of document.querySelectorAll("input, textarea")) {
      if (!isShown(field) || field.disabled || ["checkbox", "radio", "hidden"].includes(field.type)) continue;
      const part = field.value ? undefined : field.placeholder ? "::placeholder" : undefined;
      if (!part && !field.value) continue;
      const found = contrast(field, getComputedStyle(field, part));
      if (found < CONTRAST) yield `contrast ${found.toFixed(2)}: ${describe(field)}`;
    }
  }

  function* width() {
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) yield `${scrollWidth - clientWidth} pixels scroll sideways`;
  }

  window.auditPage = () => [frame, headings, names, colours, width].flatMap((part) => [...part()]);

  document.addEventListener("securitypolicyviolation", (event) =>
    window.tellSuite(`violates ${event.effectiveDirective}: ${event.blockedURI || event.sample}`));
  addEventListener("load", () => requestAnimationFrame(() => requestAnimationFrame(() =>
    window.auditPage().forEach((finding) => window.tellSuite(finding)))));
})();
