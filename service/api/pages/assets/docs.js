// Starts Swagger UI. In a file of its own, because the page's policy runs no script that stands in the page.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  persistAuthorization: false, // a key does not outlive the page
  tryItOutEnabled: true,
  validatorUrl: null, // the validator's badge is a foreign host's
});
