// What keeps somebody from reading or using the page as it is shown now, as a list
// of sentences. Thresholds are those of WCAG 2.2, level AA.
(() => {
  const faults = [];
  const shown = [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest(".unseen, .skip"));
  const what = (e) => `<${e.localName}${e.className ? "." + e.className : ""}> ${e.textContent.trim().slice(0, 40)}`;
  const rgba = (color) => { const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number); return [r, g, b, a]; };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const color = rgba(getComputedStyle(e).backgroundColor);
      if (color[3] === 1) return color;
    }
    return [255, 255, 255, 1];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((a, b) => b - a); return (x + 0.05) / (y + 0.05); };
  const wants = (e, part, a, b, least) => {
    const ratio = contrast(a, b);
    if (ratio < least) faults.push(`${part} of ${what(e)} has contrast ${ratio.toFixed(2)}, less than ${least}`);
  };
  for (const e of shown) {
    const style = getComputedStyle(e);
    const says = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
    if (says || e.matches("input, select")) wants(e, "text", rgba(style.color), behind(e), 4.5);
    if (e.placeholder) wants(e, "placeholder", rgba(getComputedStyle(e, "::placeholder").color), behind(e), 4.5);
    if (e.matches("input, select, button")) wants(e, "edge", rgba(style.borderTopColor), behind(e.parentElement), 3);
    if (e.matches("a, button, input, select")) {
      const { width, height } = e.getBoundingClientRect();
      if (width < 24 || height < 24) faults.push(`${what(e)} is ${width.toFixed()}×${height.toFixed()} px, too small for a finger`);
    }
    if (e.matches("td, th, dd, p, li, button") && e.scrollWidth > e.clientWidth + 1 && style.display !== "inline") faults.push(`${what(e)} is wider than its place`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of ids.filter((id, i) => ids.indexOf(id) !== i)) faults.push(`two elements have the id ${id}`);
  const levels = shown.filter((e) => e.matches("main :is(h1, h2, h3)")).map((e) => Number(e.localName[1]));
  levels.forEach((level, i) => { if (level > (levels[i - 1] ?? 0) + 1) faults.push(`heading ${i + 1} has level ${level}`); });
  if (levels.filter((l) => l === 1).length !== 1) faults.push("there is not one h1");
  if (document.getAnimations().length > 0) faults.push("something moves although motion is to be reduced");
  if (document.documentElement.scrollWidth > innerWidth) faults.push("it has to be scrolled sideways");
  if (!document.documentElement.lang) faults.push("the language is not told");
  return faults;
})()
