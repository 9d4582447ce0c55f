// Swagger UI over our own document. Credentials stay in the page: they are sent to this server only.
// The choice of the answer's format is called as in the Swagger UI that callers of v4 know, for the eye by the style sheet.
const answerFormat = (system) => ({
  wrapComponents: {
    contentType: (Original) => (props) =>
      system.React.createElement(Original, {
        ...props,
        ariaLabel: props.ariaLabel === "Media Type" ? "Response content type" : props.ariaLabel,
      }),
  },
});
window.ui = SwaggerUIBundle({
  url: new URL("../../openapi.json", document.currentScript.src).href,
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  plugins: [answerFormat],
  tryItOutEnabled: true,
  validatorUrl: null,
  persistAuthorization: false,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
});
