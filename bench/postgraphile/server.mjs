// PostGraphile on grafserv, one process. PGHOST, PGDATABASE and PGUSER say where; the argument is the port.
import { createServer } from "node:http";
import pg from "pg";
import { grafserv } from "postgraphile/grafserv/node";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { PostGraphileConnectionFilterPreset } from "postgraphile-plugin-connection-filter";

// Connections stay open while the other servers are asked, as asyncpg's do.
const pool = new pg.Pool({ max: 8, idleTimeoutMillis: 0 });
const preset = {
  extends: [PostGraphileAmberPreset, PostGraphileConnectionFilterPreset],
  pgServices: [makePgService({ pool, schemas: ["peer"] })],
  grafserv: { graphqlPath: "/graphql", graphiql: false, watch: false },
  grafast: { explain: false },
};
const instance = postgraphile(preset).createServ(grafserv);
const server = createServer();
server.on("error", (error) => {
  throw error;
});
await instance.addTo(server);
server.listen(Number(process.argv[2]), "127.0.0.1");
