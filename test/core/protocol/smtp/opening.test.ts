import { describe, expect, it } from "vitest";
import { HELLO, play, script } from "./play.ts";

const reply = (code: number) => ({ reply: { code } });

describe("the opening", () => {
  it("falls back to HELO where the server does not know EHLO", async () => {
    const dialogue = script("S: 220 hi", "C: EHLO mx.test", "S: 502 what?", "C: HELO mx.test", "S: 250 x");
    expect((await play(dialogue)).usable).toBe(true);
  });

  it("secures with STARTTLS and believes only what is announced under TLS", async () => {
    const dialogue = script(
      "S: 220 hi",
      "C: EHLO mx.test",
      "S: 250-x|250-STARTTLS|250-SMTPUTF8|250 AUTH PLAIN",
      "C: STARTTLS",
      "S: 220 go",
      "TLS",
      "C: EHLO mx.test",
      "S: 250-x|250 SIZE 5",
    );
    const { usable } = await play(dialogue, { tls: "starttls" }, async (session) => {
      expect([...session.extensions]).toEqual([["SIZE", "5"]]);
      return [];
    });
    expect(usable).toBe(true);
  });

  const STARTTLS = script("S: 220 hi", "C: EHLO mx.test", "S: 250-x|250 STARTTLS", "C: STARTTLS");
  const needsTls = { tls: "starttls", credentials: { username: "u", password: "p" } } as const;

  it.each<[string, string, object]>([
    ["without STARTTLS", HELLO, { phase: "starttls", reason: "unsupported" }],
    ["with STARTTLS deferred", script(STARTTLS, "S: 454 4.7.0 no certificate"), { phase: "starttls", reason: "reply" }],
    ["with STARTTLS refused", script(STARTTLS, "S: 502 5.5.1 no"), { phase: "starttls", reason: "reply" }],
    [
      "with answers injected behind the 220",
      script(STARTTLS, "S: 220 go|250-x|250 AUTH PLAIN"),
      { phase: "starttls", reason: "protocol" },
    ],
    [
      "with half a line injected behind the 220",
      script(STARTTLS, "S: 220 go|!"),
      { phase: "starttls", reason: "protocol" },
    ],
    ["with a failed handshake", script(STARTTLS, "S: 220 go", "TLS (fails)"), { phase: "starttls", reason: "tls" }],
    ["with EHLO unknown", script("S: 220 hi", "C: EHLO mx.test", "S: 502 what?"), { phase: "ehlo", reason: "reply" }],
  ])("never goes on in clear text %s", async (_, dialogue, expected) => {
    const { outcomes } = await play(dialogue, needsTls);
    expect(outcomes).toMatchObject([{ kind: "unavailable", where: "origin", ...expected }]);
  });

  it("begins with TLS where it is implicit", async () => {
    expect((await play(script("TLS", HELLO), { tls: "implicit" })).usable).toBe(true);
    const { outcomes } = await play("TLS (fails)", { tls: "implicit" });
    expect(outcomes).toMatchObject([{ kind: "unavailable", phase: "connect", reason: "tls" }]);
  });
});

describe("AUTH", () => {
  const credentials = { username: "user@example.org", password: "pässword" };
  const plain = Buffer.from("\0user@example.org\0pässword").toString("base64");
  const login = [Buffer.from("user@example.org").toString("base64"), Buffer.from("pässword").toString("base64")];
  const opening = (mechanisms: string) => script("S: 220 hi", "C: EHLO mx.test", `S: 250-x|250 AUTH ${mechanisms}`);
  const LOGIN = script(
    "C: AUTH LOGIN",
    "S: 334 VXNlcm5hbWU6",
    `C: ${login[0]}`,
    "S: 334 UGFzc3dvcmQ6",
    `C: ${login[1]}`,
  );

  it.each([
    ["PLAIN first", script(opening("LOGIN PLAIN"), `C: AUTH PLAIN ${plain}`, "S: 235 welcome")],
    [
      "PLAIN with a server that asks again",
      script(opening("plain"), `C: AUTH PLAIN ${plain}`, "S: 334 ", `C: ${plain}`, "S: 235 ok"),
    ],
    ["LOGIN where there is no PLAIN", script(opening("CRAM-MD5 LOGIN"), LOGIN, "S: 235 welcome")],
  ])("uses %s", async (_, dialogue) => {
    expect((await play(dialogue, { credentials })).usable).toBe(true);
  });

  it("is not used without credentials", async () => {
    expect((await play(opening("PLAIN LOGIN"))).usable).toBe(true);
  });

  it.each<[string, string, object]>([
    [
      "a wrong password",
      script(opening("PLAIN"), `C: AUTH PLAIN ${plain}`, "S: 535 5.7.8 wrong"),
      { reason: "reply", ...reply(535) },
    ],
    [
      "a wrong password with LOGIN",
      script(opening("LOGIN"), LOGIN, "S: 535 5.7.8 wrong"),
      { reason: "reply", ...reply(535) },
    ],
    [
      "a server that never has enough",
      script(opening("PLAIN"), `C: AUTH PLAIN ${plain}`, "S: 334 ", `C: ${plain}`, "S: 334 "),
      { reason: "protocol" },
    ],
    ["only other mechanisms", opening("CRAM-MD5 XOAUTH2"), { reason: "unsupported" }],
    ["no AUTH", HELLO, { reason: "unsupported" }],
  ])("does not bounce mail for %s, and never tells the password", async (_, dialogue, expected) => {
    const { outcomes } = await play(dialogue, { credentials });
    expect(outcomes).toMatchObject([{ kind: "unavailable", where: "origin", phase: "auth", ...expected }]);
    const told = JSON.stringify(outcomes);
    for (const secret of [credentials.password, plain, login[1] ?? ""]) expect(told).not.toContain(secret);
  });
});
