/** The panel's page of a domain's outgoing mail: what an administrator does there without a script. */
import { beforeEach, describe, expect, it } from "vitest";
import { Clock, createSender, type Sender } from "../send/sending.ts";
import { addCustomer, asOperator, call, json, ORIGIN } from "./client.ts";

let sender: Sender;
let clock: Clock;
let administrator: string;
let count = 0;

beforeEach(async () => {
  count++;
  sender = await createSender(`page-${count}.example.org`);
  administrator = await addCustomer(900 + count, sender.domain);
  clock = await Clock.over(sender);
});

const path = (rest = "") => `/panel/domains/${sender.domain}/outgoing${rest}`;

async function look(rest = "", token = administrator) {
  const response = await call("GET", path(rest), { token });
  return { status: response.status, text: await response.text() };
}

async function press(rest: string, fields: Record<string, string> = {}, token = administrator) {
  const headers = { "content-type": "application/x-www-form-urlencoded", origin: ORIGIN };
  const response = await call("POST", path(rest), { token, headers, body: new URLSearchParams(fields).toString() });
  const { status } = response;
  return { status, location: response.headers.get("location"), text: await response.text() };
}

const queued = async () =>
  (await asOperator("GET", `/api/domains/${sender.domain}/outgoing`)).body.items as { id: string }[];

describe("the queue", () => {
  it("says who waits, why and since when; one is tried now, another taken out", async () => {
    expect((await look()).text).toContain("Everything has gone out.");
    await sender.smartHost.set({ steps: { rcpt: "450 4.2.0 <come> later" } });
    for (const name of ["a", "b"]) await clock.write({ to: [`${name}@example.net`], subject: "Prices & <terms>" });
    await clock.run();
    const { text } = await look();
    expect(text).toContain("a@example.net");
    expect(text).toContain("Prices &amp; &lt;terms&gt;");
    expect(text).toContain("450 4.2.0 &lt;come&gt; later");
    await sender.smartHost.set({});
    const [first, second] = await queued();
    expect(await press(`/${first?.id}/retry`)).toMatchObject({ status: 303, location: path("?done=retried") });
    expect(await press(`/${second?.id}/cancel`)).toMatchObject({ status: 303, location: path("?done=cancelled") });
    await clock.run();
    expect(await sender.smartHost.messages()).toHaveLength(1);
    expect(await queued()).toEqual([]);
    const again = await press(`/${second?.id}/cancel`);
    expect(again.status).toBe(404);
    expect(again.text).toContain("There is no such recipient in the queue.");
  });

  it("is tried as a whole, and shown page by page", async () => {
    await sender.smartHost.stop();
    const to = Array.from({ length: 60 }, (_, at) => `r${at}@example.net`);
    await clock.write({ to });
    await clock.run();
    const { text } = await look();
    const next = /after=([\d-]+)#queue/.exec(text)?.[1] ?? "";
    const more = await look(`?after=${next}`);
    const shown = [text, more.text].map((one) => new Set(one.match(/r\d+@example\.net/g)));
    expect(shown.map(({ size }) => size)).toEqual([50, 10]);
    expect(new Set(shown.flatMap((one) => [...one])).size).toBe(60);
    await sender.smartHost.start();
    expect((await press("/retry")).status).toBe(303);
    await clock.run();
    expect(await queued()).toEqual([]);
  });

  it("says who was stopped, and lets them go on", async () => {
    const ann = `ann@${sender.domain}`;
    expect((await look()).text).not.toContain("Stopped from sending");
    await asOperator("PUT", `/api/domains/${sender.domain}/outgoing/stops/${ann}`);
    expect((await look()).text).toContain("an administrator has stopped it");
    expect((await press(`/stops/${ann}/release`)).location).toBe(path("?done=released"));
    expect((await look()).text).not.toContain("Stopped from sending");
  });
});

describe("the way out", () => {
  it("is chosen; the password is stored, and never shown", async () => {
    const chosen = {
      transport: "smarthost",
      host: "smtp.example.net",
      port: "587",
      tls: "starttls",
      username: "u",
      password: "p4ss",
    };
    expect(await press("", chosen)).toMatchObject({ status: 303, location: path("?done=saved") });
    const { text } = await look();
    expect(text).toContain("Now: smtp.example.net, port 587.");
    expect(text).not.toContain("p4ss");
    const domain = await json("GET", `/api/domains/${sender.domain}`, { token: administrator });
    expect(domain.body.outgoing).toMatchObject({ transport: "smarthost", host: "smtp.example.net", passwordSet: true });
    expect((await press("", { transport: "none" })).status).toBe(303);
    expect((await look()).text).toContain("People can write to colleagues only");
  });

  it.each([
    [{ transport: "smarthost", host: "smtp.example.net", port: "25" }, "Cloudflare Workers cannot open port 25"],
    [{ transport: "smarthost", host: "" }, "name the server that takes your mail"],
    [{ transport: "smarthost", host: "10.0.0.1" }, "which only an operator may set"],
  ])("that cannot be is said, and what was typed stays: %o", async (fields, words) => {
    await press("", { transport: "none" });
    const wrong = await press("", fields);
    expect(wrong.status).toBe(422);
    expect(wrong.text).toContain(words);
    if (fields.host) expect(wrong.text).toContain(`value="${fields.host}"`);
    expect((await look()).text).toContain("People can write to colleagues only");
  });
});

describe("the signature", () => {
  it("gets a key, whose record is shown, and which signs when somebody says so", async () => {
    expect((await look()).text).toContain("mail goes out unsigned");
    expect((await press("/keys")).location).toBe(path("?done=key"));
    const { text } = await look();
    const selector = /holdfast-\d{8}/.exec(text)?.[0] ?? "";
    expect(text).toContain(`${selector}._domainkey.${sender.domain}`);
    expect(text).toContain("v=DKIM1; k=rsa; p=");
    expect(text).not.toContain(">signs<");
    expect((await press(`/keys/${selector}/use`)).location).toBe(path("?done=signs"));
    expect((await look()).text).toContain(">signs<");
    // One a day has this name; what is wrong is said at the keys.
    expect(await press("/keys")).toMatchObject({
      status: 409,
      text: expect.stringContaining("choose another selector"),
    });
    expect((await press(`/keys/${selector}/forget`)).location).toBe(path("?done=forgotten"));
    expect((await look()).text).toContain("mail goes out unsigned");
  });
});

describe("servers of one's own", () => {
  it("one gets a login, shown this once, and loses it", async () => {
    const made = await press("/relays", { kind: "login", "relay-label": "Cellar" });
    expect(made.status).toBe(200);
    const password = /Password<\/dt><dd>([a-z2-7]{32})</.exec(made.text)?.[1] ?? "no password";
    const { text } = await look();
    expect(text).toContain("Cellar");
    expect(text).not.toContain(password);
    const id = /relays\/(\d+)\/remove/.exec(text)?.[1];
    expect((await press(`/relays/${id}/remove`)).location).toBe(path("?done=removed"));
    expect((await look()).text).toContain("No server may.");
  });

  it("one is known by its address; what is no address is said", async () => {
    const wrong = await press("/relays", { kind: "address", value: "mail.example.org" });
    expect(wrong.status).toBe(422);
    expect(wrong.text).toContain('value="mail.example.org"');
    expect((await press("/relays", { kind: "address" })).status).toBe(422);
    expect((await press("/relays", { kind: "address", value: "198.41.0.77" })).location).toBe(path("?done=relay"));
    expect((await look()).text).toContain("198.41.0.77");
  });

  it("brings copies to an address that is shown this once", async () => {
    const made = await press("/journals", { format: "copies", sources: "198.41.0.0/24, 198.41.2.1" });
    expect(made.status).toBe(200);
    const address = /<dd>(journal-[^<]+)</.exec(made.text)?.[1] ?? "no address";
    const { text } = await look();
    expect(text).toContain("198.41.0.0/24, 198.41.2.1");
    expect(text).not.toContain(address);
    const wrong = await press("/journals", { format: "copies", sources: "everywhere" });
    expect(wrong.status).toBe(422);
    expect(wrong.text).toContain('value="everywhere"');
    const id = /journals\/(\d+)\/remove/.exec(text)?.[1];
    expect((await press(`/journals/${id}/remove`)).location).toBe(path("?done=removed"));
    expect((await look()).text).toContain("There is none.");
  });
});

it("all of it is nobody's but an administrator's of this domain", async () => {
  const stranger = await addCustomer(1900 + count, `stranger-${count}.example.org`);
  const posts = [
    "",
    "/retry",
    "/0-1/retry",
    "/0-1/cancel",
    `/stops/ann@${sender.domain}/release`,
    "/keys",
    "/keys/a/use",
  ];
  const more = ["/keys/a/forget", "/relays", "/relays/1/remove", "/journals", "/journals/1/remove"];
  expect((await look("", sender.ann)).status).toBe(403);
  for (const rest of [...posts, ...more]) {
    expect((await press(rest, {}, sender.ann)).status, rest).toBe(403);
    expect((await press(rest, {}, stranger)).status, rest).toBe(404);
  }
});
