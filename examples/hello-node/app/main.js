// Greets whoever asks: GET /NAME.
const polka = require("polka");

const [host, port] = process.argv.slice(2);
polka()
  .get("/:name?", (request, response) => response.end(`hello ${request.params.name || "world"}\n`))
  .listen(Number(port), host);
