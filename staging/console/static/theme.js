// Chooses light or dark before the page is drawn: the reader's choice, or the system's. A classic script, since modules run later.
(() => {
  const KEY = "story-console-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = "auto";
  try {
    chosen = localStorage.getItem(KEY) ?? "auto";
  } catch { /* storage may be forbidden; then the system's is used */ }

  function apply() {
    const dark = chosen === "dark" || (chosen !== "light" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  }

  system.addEventListener("change", apply);
  addEventListener("story-theme", (event) => {
    chosen = event.detail;
    try {
      localStorage.setItem(KEY, chosen);
    } catch { /* not remembered, but chosen */ }
    apply();
  });
  apply();
})();
