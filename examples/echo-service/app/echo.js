// The same echo server for Node, for those who have docker: see the Dockerfile beside it.
import { createServer } from "node:http";

const server = createServer((request, response) => {
  if (request.url === "/peer") {
    const forwarded = request.headers["x-forwarded-for"] ?? "";
    response.setHeader("content-type", "text/plain");
    response.end(`peer ${request.socket.remoteAddress}\nx-forwarded-for ${forwarded}\n`);
    return;
  }
  request.pipe(response);
});

server.listen(process.env.PORT ?? 3000);
process.on("SIGTERM", () => server.close());
