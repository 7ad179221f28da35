// Runs before the first paint: applies the theme that was picked by hand, if any.
try {
  const theme = localStorage.getItem("skein-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset["theme"] = theme;
} catch {
  // Storage may be blocked; the system's theme then applies.
}
