// The article's application, grown into a real service: it echoes, says how it was configured, counts visits in Redis,
// and ends as a service should.
const http = require("http");
const net = require("net");

const { VERSION, GREETING, PASSWORD, CACHE } = process.env;
const METADATA = process.env.ECS_CONTAINER_METADATA_URI_V4;
const CREDENTIALS = "http://169.254.170.2" + process.env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI;

function get(url) {
  return new Promise((resolve, reject) => {
    http.get(url, (answer) => {
      let body = "";
      answer.on("data", (part) => (body += part)).on("end", () => resolve(JSON.parse(body)));
    }).on("error", reject);
  });
}

function redis(...words) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: CACHE, port: 6379, timeout: 5000 });
    socket.on("connect", () => socket.write(words.join(" ") + "\r\n"));
    socket.on("data", (line) => (socket.end(), resolve(line.toString().trim())));
    socket.on("error", reject).on("timeout", () => (socket.destroy(), reject(new Error("timeout"))));
  });
}

const pages = {
  "/healthz": async () => ({ ok: true }),
  "/settings": async () => ({ version: VERSION, greeting: GREETING, password: PASSWORD, uid: process.getuid() }),
  "/cache": async () => ({ visits: await redis("INCR", "visits") }),
  "/identity": async () => {
    const [credentials, task] = await Promise.all([get(CREDENTIALS), get(METADATA + "/task")]);
    return { role: credentials.RoleArn, family: task.Family, containers: task.Containers.map((one) => one.Name) };
  },
  "/shared": async () => ({ beats: require("fs").readFileSync("/shared/beats", "utf8") }),
};

const server = http.createServer(async (request, response) => {
  const page = pages[request.url];
  if (!page) {
    request.pipe(response);
    return;
  }
  try {
    response.end(JSON.stringify(await page()));
  } catch (error) {
    response.writeHead(500);
    response.end(JSON.stringify({ error: String(error) }));
  }
});
server.keepAliveTimeout = 75000;
server.listen(3000, () => console.log(`version ${VERSION} listens`));
process.on("SIGTERM", () => {
  console.log(`version ${VERSION} ends`);
  server.close(() => process.exit(0));
});
