/** HTTP control of any number of fake origins, for tests that run in workerd and cannot listen themselves. */
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { FakeOrigin } from "./fake-origin.ts";
import type { Behaviour } from "./origin-behaviour.ts";

export interface OriginControlServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * `POST /` behaviour -> {id, port} · `GET /id` -> OriginReport · `PUT /id` behaviour · `POST /id/stop`, `POST /id/start`,
 * `POST /id/forget` · `DELETE /id`.
 */
export async function startOriginControl(): Promise<OriginControlServer> {
  const origins = new Map<string, FakeOrigin>();
  let next = 1;

  async function handle(method: string, path: string, body: string): Promise<{ status: number; body: unknown }> {
    const [, id = "", action] = path.split("/");
    if (method === "POST" && id === "") {
      const origin = new FakeOrigin(JSON.parse(body) as Behaviour);
      const port = await origin.start();
      const name = String(next++);
      origins.set(name, origin);
      return { status: 201, body: { id: name, port } };
    }
    const origin = origins.get(id);
    if (!origin) return { status: 404, body: { error: `no origin ${id}` } };
    if (method === "POST" && action === "stop") await origin.stop();
    else if (method === "POST" && action === "start") await origin.start();
    else if (method === "POST" && action === "forget") origin.forget();
    else if (method === "PUT") origin.set(JSON.parse(body) as Behaviour);
    else if (method === "DELETE") {
      await origin.stop();
      origins.delete(id);
    } else if (method !== "GET") return { status: 405, body: { error: `${method} is not known here` } };
    return { status: 200, body: origin.report() };
  }

  const server: Server = createServer((request, response) => {
    readBody(request)
      .then((body) => handle(request.method ?? "GET", request.url ?? "/", body))
      .catch((error: unknown) => ({ status: 500, body: { error: String(error) } }))
      .then((answer) => {
        response.writeHead(answer.status, { "content-type": "application/json" });
        response.end(JSON.stringify(answer.body));
      });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      await Promise.all([...origins.values()].map((origin) => origin.stop()));
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
