// The side-car: it counts in a volume that it shares with the application.
const fs = require("fs");

let beats = 0;
setInterval(() => fs.writeFileSync("/shared/beats", String(++beats)), 200);
process.on("SIGTERM", () => process.exit(0));
