import { env } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { addDomain, asOperator, call, OPERATOR, ORIGIN } from "./client.ts";

beforeAll(() => addDomain("example.org"));

const MODE = "/api/domains/example.org/mode";

describe("the mode of a domain", () => {
  it("is a person's choice, which holds until it is released", async () => {
    const emergency = await asOperator("PUT", MODE, { mode: "emergency" });
    expect(emergency).toMatchObject({
      status: 200,
      body: { mode: "emergency", choice: { mode: "emergency", actor: "token" } },
    });
    const domain = await asOperator("GET", "/api/domains/example.org");
    expect(domain.body).toMatchObject({ mode: "emergency", source: "object", modeSince: emergency.body.modeSince });
    expect(await env.DIRECTORY.prepare("SELECT mode FROM domain WHERE name = 'example.org'").first("mode")).toBe(
      "emergency",
    );

    const released = await asOperator("PUT", MODE, { mode: "auto" });
    expect(released.body).toMatchObject({ mode: "emergency", choice: null });
    expect((await asOperator("PUT", MODE, { mode: "normal" })).body).toMatchObject({ mode: "normal" });
  });

  it("is not emergency where continuity is off", async () => {
    await asOperator("PUT", "/api/domains/off.example.org", {});
    const { status, body } = await asOperator("PUT", "/api/domains/off.example.org/mode", { mode: "emergency" });
    expect([status, body.detail]).toEqual([
      409,
      "Continuity is off for off.example.org, so its mode is always normal. Turn continuity on first.",
    ]);
  });

  it.each([
    [{}, "mode: must be one of: normal, emergency, auto"],
    [{ mode: "automatic" }, "mode: must be one of: normal, emergency, auto"],
    [{ mode: "normal", until: "tomorrow" }, "until: unknown setting"],
  ])("is not set by %j", async (body, sentence) => {
    const answer = await asOperator("PUT", MODE, body);
    expect([answer.status, answer.body.detail]).toEqual([422, sentence]);
  });

  it("is switched by the panel after a page that says what will happen", async () => {
    const ask = await call("GET", "/panel/domains/example.org/mode?to=emergency", { token: OPERATOR });
    const question = await ask.text();
    expect(question).toContain("Switch to emergency mode?");
    expect(question).toContain("No message waits");
    expect((await asOperator("GET", "/api/domains/example.org")).body.mode).toBe("normal");
    const switched = await call("POST", "/panel/domains/example.org/mode", {
      token: OPERATOR,
      body: "mode=emergency",
      headers: { "content-type": "application/x-www-form-urlencoded", origin: ORIGIN },
    });
    expect(switched.headers.get("location")).toBe("/panel/domains/example.org?done=mode");
    const page = await (await call("GET", "/panel/domains/example.org?done=mode", { token: OPERATOR })).text();
    expect(page).toContain('class="in-emergency"');
    expect(page).toContain("Switch to normal mode");
    await asOperator("PUT", MODE, { mode: "normal" });
  });
});

describe("the events of a domain", () => {
  it("say who changed what, newest first and in pages, and never a password", async () => {
    await addDomain("log.example.org");
    const origin = { host: "mail2.example.org", username: "u", password: "secret of the origin" };
    await asOperator("PUT", "/api/domains/log.example.org", { origin });
    await asOperator("PUT", "/api/domains/log.example.org/mailboxes/a@log.example.org", {
      password: "secret of a user",
    });
    await asOperator("PUT", "/api/domains/log.example.org/mode", { mode: "emergency" });
    const { status, body } = await asOperator("GET", "/api/domains/log.example.org/events");
    expect(status).toBe(200);
    const items = body.items as { id: string; kind: string; actor: string }[];
    const kinds = items.map(({ kind }) => kind);
    expect(kinds[0]).toBe("mode_changed");
    expect(kinds).toEqual(expect.arrayContaining(["domain_created", "domain_changed", "mailbox_registered"]));
    expect(new Set(items.filter(({ kind }) => kind.startsWith("domain_")).map(({ actor }) => actor))).toEqual(
      new Set(["token"]),
    );
    expect(JSON.stringify(body)).not.toContain("secret");

    const first = await asOperator("GET", "/api/domains/log.example.org/events?limit=2");
    expect((first.body.items as unknown[]).length).toBe(2);
    const next = await asOperator(
      "GET",
      `/api/domains/log.example.org/events?limit=200&cursor=${String(first.body.next)}`,
    );
    const ids = [...(first.body.items as { id: string }[]), ...(next.body.items as { id: string }[])].map(
      ({ id }) => id,
    );
    expect(ids).toEqual(items.map(({ id }) => id));
    expect((await asOperator("GET", "/api/domains/log.example.org/events?cursor=x")).body.detail).toBe(
      "cursor: is not a cursor of this list",
    );
  });
});

describe("addresses that nobody registered", () => {
  it("are listed as they were seen, until they are registered", async () => {
    await addDomain("seen.example.org");
    await env.DOMAIN.getByName("seen.example.org").report([{ kind: "seen", local: "Office+news" }]);
    const { body } = await asOperator("GET", "/api/domains/seen.example.org/seen-addresses");
    expect(body).toMatchObject({ items: [{ address: "office@seen.example.org", messages: 1 }] });
    await asOperator("PUT", "/api/domains/seen.example.org/mailboxes/office@seen.example.org", {});
    expect((await asOperator("GET", "/api/domains/seen.example.org/seen-addresses")).body).toMatchObject({ items: [] });
  });
});
