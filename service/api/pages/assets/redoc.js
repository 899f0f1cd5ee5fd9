// Starts ReDoc. In a file of its own, because the page's policy runs no script that stands in the page.
const system = matchMedia("(prefers-color-scheme: dark)");
system.addEventListener("change", () => location.reload()); // ReDoc computes its colours once

const [text, muted, ground, card, line, link] = ["#e9ebef", "#a3abb8", "#0f1216", "#171b21", "#2d343e", "#57c998"];
// The tabs of the responses are on dark ground in both themes.
const tabs = { success: { tabTextColor: "#57c998" }, error: { tabTextColor: "#ff8a8f" } };
const darkTheme = {
  colors: {
    primary: { main: link },
    success: { main: "#57c998" },
    warning: { main: "#f0b45c" },
    error: { main: "#ff8a8f" },
    gray: { 50: card, 100: card },
    text: { primary: text, secondary: muted },
    border: { dark: line, light: line },
    responses: tabs,
  },
  schema: { nestedBackground: card, typeNameColor: muted, requireLabelColor: "#ff8a8f", linesColor: line },
  sidebar: { backgroundColor: card, textColor: text, activeTextColor: link },
  typography: { code: { color: "#ffb3b6", backgroundColor: "#20262e" }, links: { color: link } },
  rightPanel: {
    backgroundColor: ground,
    servers: { overlay: { backgroundColor: card, textColor: text }, url: { backgroundColor: ground } },
  },
};
const lightTheme = {
  colors: { error: { main: "#b01c2e" }, responses: tabs },
  typography: { code: { color: "#b01c2e" } },
};
const fonts = { fontFamily: "system-ui, sans-serif", headings: { fontFamily: "system-ui, sans-serif" } };

/** Move the long description behind the operations: each of its sections becomes an entry at the end of the menu. */
function operationsFirst(document) {
  const [, ...sections] = document.info.description.split(/^## /m);
  const guides = sections.map((section) => {
    const [name, ...lines] = section.split("\n");
    return { name, description: lines.join("\n"), "x-traitTag": true };
  });
  delete document.info.description; // the summary stays
  document.tags.push(...guides);
  return document;
}

const theme = system.matches ? darkTheme : lightTheme;
Object.assign((theme.typography ??= {}), fonts);
const options = { requiredPropsFirst: true, theme };
fetch("openapi.json")
  .then((response) => response.json())
  .then((document) => Redoc.init(operationsFirst(document), options, window.document.getElementById("redoc")));

// ReDoc gives these no names, and screen readers would read nothing.
new MutationObserver(() => {
  for (const field of window.document.querySelectorAll("#redoc select:not([aria-label])")) field.setAttribute("aria-label", "Example");
  for (const code of window.document.querySelectorAll("#redoc :is(pre, table):not([tabindex])")) code.tabIndex = 0; // they scroll
}).observe(window.document.getElementById("redoc"), { childList: true, subtree: true });
