// Starts Swagger UI. In a file of its own, because the page's policy runs no script that stands in the page.

// The description is long; folded, it leaves the first screen to the operations.
const folded = (Description, { React: { createElement } }) => (properties) =>
  createElement(
    "details",
    { className: "wrapper about" },
    createElement("summary", null, "How it works: the flow, verdicts, credentials, repeating, limits, problems"),
    createElement(Description, properties),
  );

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  plugins: [{ wrapComponents: { InfoContainer: folded } }],
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  persistAuthorization: false, // a key does not outlive the page
  syntaxHighlight: { theme: "obsidian" }, // the default's numbers are hard to read
  tryItOutEnabled: true,
  validatorUrl: null, // the validator's badge is a foreign host's
});

// Swagger UI gives these no names, and screen readers would read nothing.
const names = {
  ".examples-select-element": "Example",
  "select.content-type": "Media type",
  "textarea.body-param__text": "Request body",
};
new MutationObserver(() => {
  for (const [selector, name] of Object.entries(names))
    for (const field of document.querySelectorAll(`${selector}:not([aria-label])`)) field.setAttribute("aria-label", name);
  for (const code of document.querySelectorAll("pre.microlight:not([tabindex])")) code.tabIndex = 0; // it scrolls
}).observe(document.querySelector("#swagger-ui"), { childList: true, subtree: true });
