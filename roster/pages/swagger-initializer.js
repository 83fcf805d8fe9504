// Start Swagger UI on this server's own definition.
const dark = matchMedia("(prefers-color-scheme: dark)");
const showColours = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
showColours();
dark.addEventListener("change", showColours);

const place = document.getElementById("swagger-ui");
const ui = SwaggerUIBundle({
  domNode: place,
  url: "/api/v1/openapi.json",
  oauth2RedirectUrl: `${location.origin}/api/v1/oauth2-redirect.html`,
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
ui.initOAuth({
  clientId: place.dataset.clientId,
  scopeSeparator: " ",
  usePkceWithAuthorizationCodeGrant: true,
});
