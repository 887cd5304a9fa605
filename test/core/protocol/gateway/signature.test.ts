import { expect, test } from "vitest";
import { GATEWAY_CLOCK_SKEW, GATEWAY_NONCES } from "../../../../src/core/limits.ts";
import {
  NonceMemory,
  parseSecrets,
  signRequest,
  verifyRequest,
} from "../../../../src/core/protocol/gateway/signature.ts";

const now = Date.UTC(2026, 10, 24);
const old = { id: "g1", secret: "the old secret-of-the-tests".replaceAll(" ", "-") };
const current = { id: "g2", secret: "the-new-secret-of-the-tests" };
const request = { method: "GET", path: "/gateway/transaction?v=1" };
const nonce = "abcdefghijklmnop";

test("takes a request signed with any listed secret", async () => {
  for (const secret of [old, current]) {
    const header = await signRequest(secret, request, now, nonce);
    expect(await verifyRequest([current, old], request, header, now, new NonceMemory())).toEqual({
      ok: true,
      value: secret.id,
    });
  }
});

test("signs the same request in the same way on every platform", async () => {
  expect(await signRequest(current, request, now, nonce)).toBe(
    `Holdfast-Gateway id=g2, ts=${now}, nonce=${nonce}, sig=gsX08gUE9l3dNvLB1HPh2TuXRFFL0scEU8uN_4G70Jk`,
  );
});

test.each([
  ["another method", { ...request, method: "POST" }],
  ["another path", { ...request, path: "/gateway/relay?v=1" }],
  ["another query", { ...request, path: "/gateway/transaction?v=2" }],
  ["a body that was not signed", { ...request, bodyHash: "00" }],
])("refuses a signature made for %s", async (_, other) => {
  const header = await signRequest(current, other, now, nonce);
  expect(await verifyRequest([current], request, header, now, new NonceMemory())).toEqual({
    ok: false,
    error: "bad_signature",
  });
});

test("refuses a signature made with another secret under a known id", async () => {
  const header = await signRequest({ id: "g2", secret: "somebody-else's-secret" }, request, now, nonce);
  expect(await verifyRequest([current], request, header, now, new NonceMemory())).toEqual({
    ok: false,
    error: "bad_signature",
  });
});

test("refuses a secret that was taken off the list", async () => {
  const header = await signRequest(old, request, now, nonce);
  expect(await verifyRequest([current], request, header, now, new NonceMemory())).toEqual({
    ok: false,
    error: "unknown_id",
  });
});

test("refuses a changed time stamp or nonce", async () => {
  const header = await signRequest(current, request, now, nonce);
  for (const changed of [header.replace(`ts=${now}`, `ts=${now + 1}`), header.replace(nonce, "ponmlkjihgfedcba")]) {
    expect(await verifyRequest([current], request, changed, now, new NonceMemory())).toEqual({
      ok: false,
      error: "bad_signature",
    });
  }
});

test.each([-1, 1])("allows the clocks to differ by the limit and no more (sign %d)", async (sign) => {
  const at = now + sign * GATEWAY_CLOCK_SKEW;
  const within = await signRequest(current, request, at, nonce);
  expect((await verifyRequest([current], request, within, now, new NonceMemory())).ok).toBe(true);
  const beyond = await signRequest(current, request, at + sign, nonce);
  expect(await verifyRequest([current], request, beyond, now, new NonceMemory())).toEqual({
    ok: false,
    error: "clock_skew",
  });
});

test("takes a request once", async () => {
  const seen = new NonceMemory();
  const header = await signRequest(current, request, now, nonce);
  expect((await verifyRequest([current], request, header, now, seen)).ok).toBe(true);
  expect(await verifyRequest([current], request, header, now + 1, seen)).toEqual({ ok: false, error: "replayed" });
});

test("a forged request does not use up the nonce of the real one", async () => {
  const seen = new NonceMemory();
  const header = await signRequest(current, request, now, nonce);
  const forged = header.replace(/sig=./, (match) => (match === "sig=A" ? "sig=B" : "sig=A"));
  expect(await verifyRequest([current], request, forged, now, seen)).toEqual({ ok: false, error: "bad_signature" });
  expect((await verifyRequest([current], request, header, now, seen)).ok).toBe(true);
});

test.each([
  ["missing", null],
  ["missing", ""],
  ["malformed", "Bearer abc"],
  ["malformed", "Holdfast-Gateway id=g2, ts=1"],
  ["malformed", `Holdfast-Gateway id=g2, ts=${now}, nonce=short, sig=${"A".repeat(43)}`],
  ["malformed", `Holdfast-Gateway id=g2, ts=${now}, nonce=${nonce}, sig=${"A".repeat(42)}`],
])("says %s to %s", async (error, header) => {
  expect(await verifyRequest([current], request, header, now, new NonceMemory())).toEqual({ ok: false, error });
});

test("remembers nonces as long as their requests could be accepted, and a bounded number", () => {
  const seen = new NonceMemory();
  expect(seen.enter("first", now)).toBe(true);
  expect(seen.enter("first", now + 2 * GATEWAY_CLOCK_SKEW)).toBe(false);
  expect(seen.enter("first", now + 2 * GATEWAY_CLOCK_SKEW + 1)).toBe(true);
  for (let index = 0; index < GATEWAY_NONCES + 10; index++) seen.enter(`nonce ${index}`, now);
  expect(seen.size).toBe(GATEWAY_NONCES);
});

test("reads the list of secrets, newest first", () => {
  expect(parseSecrets("g2:new-secret:with-colon, g1:old-secret")).toEqual({
    ok: true,
    value: [
      { id: "g2", secret: "new-secret:with-colon" },
      { id: "g1", secret: "old-secret" },
    ],
  });
});

test.each([
  ["", "entry 1 is not id:secret with a secret of at least 8 characters"],
  ["g1", "entry 1 is not id:secret with a secret of at least 8 characters"],
  ["g1:long-enough,g2:short", "entry 2 is not id:secret with a secret of at least 8 characters"],
  ["g1:long-enough,g1:long-enough-too", "the id g1 stands there twice"],
])("refuses the list of secrets %j without repeating a secret", (text, error) => {
  expect(parseSecrets(text)).toEqual({ ok: false, error });
});
