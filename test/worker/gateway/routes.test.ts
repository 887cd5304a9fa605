import { SELF } from "cloudflare:test";
import { expect, it } from "vitest";
import { GATEWAY_CLOCK_SKEW } from "../../../src/core/limits.ts";
import { signRequest } from "../../../src/core/protocol/gateway/signature.ts";
import { GatewaySocket, MAIL } from "./socket.ts";

const SECRET = { id: "g1", secret: "secret-of-the-tests" };
const PATH = "/gateway/transaction";
let count = 0;
const nonce = () => `nonce-of-the-tests-${++count}`;

const call = (headers: Record<string, string>, path = PATH) => SELF.fetch(`https://holdfast.test${path}`, { headers });
const signed = (path = PATH, now = Date.now(), secret = SECRET) =>
  signRequest(secret, { method: "GET", path }, now, nonce());

async function problem(response: Response): Promise<unknown> {
  const { status, detail } = (await response.json()) as { status: number; detail: string };
  expect(response.headers.get("content-type")).toMatch(/^application\/problem\+json/);
  return [status, detail];
}

const REFUSED = (why: string) => [
  401,
  `The gateway's signature does not hold: ${why}. Check its secret and its clock.`,
];

it("a signed gateway gets a transaction, and an unknown domain its refusal", async () => {
  const response = await call({ authorization: await signed(), upgrade: "websocket" });
  expect(response.status).toBe(101);
  if (!response.webSocket) throw new Error("no WebSocket");
  const gateway = new GatewaySocket(response.webSocket);
  gateway.say(MAIL);
  gateway.say({ op: "rcpt", to: "somebody@nowhere.example" });
  expect(await gateway.reply()).toMatchObject({ code: 550, enhanced: "5.7.1" });
  gateway.say({ op: "data", size: 3 });
  gateway.send(new TextEncoder().encode("x\r\n"));
  expect(await gateway.reply()).toMatchObject({ code: 503, enhanced: "5.5.1" });
  expect((await gateway.end()).code).toBe(1000);
});

it("without a signature, or with a person's token, it is 401 and says why", async () => {
  expect(await problem(await call({ upgrade: "websocket" }))).toEqual(REFUSED("missing"));
  expect(
    await problem(await call({ upgrade: "websocket", authorization: "Bearer operator-token-of-the-tests" })),
  ).toEqual(REFUSED("malformed"));
});

it("a wrong secret, an unknown id and a wrong clock are 401", async () => {
  for (const [authorization, why] of [
    [await signed(PATH, Date.now(), { id: "g1", secret: "another-secret" }), "bad signature"],
    [await signed(PATH, Date.now(), { id: "g9", secret: SECRET.secret }), "unknown id"],
    [await signed(PATH, Date.now() - GATEWAY_CLOCK_SKEW - 5_000), "clock skew"],
    [await signed("/gateway/other"), "bad signature"],
  ] as const) {
    expect(await problem(await call({ upgrade: "websocket", authorization }))).toEqual(REFUSED(why));
  }
});

it("a request that was heard before is 401", async () => {
  const authorization = await signed();
  const first = await call({ upgrade: "websocket", authorization });
  expect(first.status).toBe(101);
  first.webSocket?.accept();
  first.webSocket?.close();
  expect(await problem(await call({ upgrade: "websocket", authorization }))).toEqual(REFUSED("replayed"));
});

it("without an upgrade it is 400, and another path is 404, for those who may ask", async () => {
  expect(await problem(await call({ authorization: await signed() }))).toEqual([
    400,
    "This address speaks WebSocket only.",
  ]);
  expect(await problem(await call({ authorization: await signed("/gateway/other") }, "/gateway/other"))).toEqual([
    404,
    "There is no /gateway/other for gateways.",
  ]);
  expect((await call({}, "/gateway/other")).status).toBe(401);
});
