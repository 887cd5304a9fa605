import { env } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { addDomain, asOperator, json, OPERATOR, PASSWORD, signInAs } from "./client.ts";

const BOXES = "/api/domains/example.org/mailboxes";

beforeAll(() => addDomain("example.org"));

const detail = async (address: string, body: unknown): Promise<unknown> => {
  const answer = await asOperator("PUT", `${BOXES}/${encodeURIComponent(address)}`, body);
  return [answer.status, answer.body.detail];
};
const exists = async (address: string): Promise<boolean> =>
  (await asOperator("GET", `${BOXES}/${address}`)).status === 200;

describe("a mailbox", () => {
  it("is registered with its aliases and an account on its shard", async () => {
    const { status, body } = await asOperator("PUT", `${BOXES}/Alice@Example.org`, {
      password: PASSWORD,
      aliases: ["info", "Sales@example.org", "alice"],
      alternateAddress: "alice@example.net",
    });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      address: "alice@example.org",
      covered: true,
      login: true,
      aliases: ["info@example.org", "sales@example.org"],
      alternateAddress: "alice@example.net",
    });
    expect(JSON.stringify(body)).not.toContain("scrypt");
    const folders = await env.SHARD_0.prepare("SELECT role FROM folder WHERE account = ?1 ORDER BY id")
      .bind(Number(body.id))
      .all<{ role: string }>();
    expect(folders.results.map(({ role }) => role)).toEqual(["inbox", "sent", "drafts", "trash", "junk", "archive"]);
  });

  it("is changed in part, and each change is one that the domain's object will notice", async () => {
    const version = () =>
      env.DIRECTORY.prepare("SELECT version FROM domain WHERE name = 'example.org'").first<number>("version");
    await asOperator("PUT", `${BOXES}/bob@example.org`, { aliases: ["info", "bobby"] });
    const before = (await version()) ?? 0;
    const { status, body } = await asOperator("PUT", `${BOXES}/bob@example.org`, { aliases: ["info"], covered: false });
    expect(status).toBe(200);
    expect(body).toMatchObject({ aliases: ["info@example.org"], covered: false, login: false });
    expect(await version()).toBe(before + 1);
  });

  it("whose password changes is signed out everywhere", async () => {
    await asOperator("PUT", `${BOXES}/carol@example.org`, { password: PASSWORD });
    const token = await signInAs("CAROL@example.org");
    expect((await json("GET", "/api/session", { token })).status).toBe(200);
    await asOperator("PUT", `${BOXES}/carol@example.org`, { password: "another good one" });
    expect((await json("GET", "/api/session", { token })).status).toBe(401);
  });

  it("is removed with its addresses and its sessions; its number is not used again", async () => {
    const first = await asOperator("PUT", `${BOXES}/dora@example.org`, { password: PASSWORD, aliases: ["d"] });
    const token = await signInAs("dora@example.org");
    expect((await asOperator("DELETE", `${BOXES}/dora@example.org`)).status).toBe(204);
    expect((await json("GET", "/api/session", { token })).status).toBe(401);
    expect(await exists("dora@example.org")).toBe(false);
    const left = await env.DIRECTORY.prepare("SELECT count(*) AS n FROM address WHERE local IN ('d', 'dora')").first(
      "n",
    );
    expect(left).toBe(0);
    const second = await asOperator("PUT", `${BOXES}/dora@example.org`, {});
    expect(second.body.id).not.toBe(first.body.id);
  });

  it.each([
    ["erin@example.net", {}, "address: must be an address of example.org"],
    ["erin", {}, "address: The address has no @."],
    ["erin@", {}, "address: The address has nothing after its @."],
    ["erin@example.org", { password: "short" }, "password: must have at least 8 characters"],
    ["erin@example.org", { password: "x".repeat(257) }, "password: must have at most 256 characters"],
    [
      "erin@example.org",
      { aliases: ["a b"] },
      "aliases.0: The part before the @ has characters that need quotes, or dots where none may be.",
    ],
    ["erin@example.org", { aliases: ["ok", "x@example.net"] }, "aliases.1: must be an address of example.org"],
    [
      "erin@example.org",
      { alternateAddress: "e@example.org" },
      "alternateAddress: must be outside example.org: it is for when that is down",
    ],
    ["erin@example.org", { quota: 5 }, "quota: unknown setting"],
    ["erin@example.org", { aliases: "info" }, "aliases: must be a list"],
  ])("%s is refused with %j", async (address, body, sentence) => {
    expect(await detail(address, body)).toEqual([422, sentence]);
    expect(await exists("erin@example.org")).toBe(false);
  });
});

describe("many mailboxes at once", () => {
  const csv = (text: string) =>
    json("POST", BOXES, { token: OPERATOR, body: text, headers: { "content-type": "text/csv; charset=utf-8" } });

  it("come as JSON", async () => {
    const { status, body } = await asOperator("POST", BOXES, [
      { address: "j1@example.org" },
      { address: "j2@example.org", covered: false },
    ]);
    expect(status).toBe(201);
    expect(body).toMatchObject({
      items: [{ address: "j1@example.org" }, { address: "j2@example.org", covered: false }],
    });
    expect(await exists("j2@example.org")).toBe(true);
  });

  it("come as a spreadsheet writes them", async () => {
    const { status, body } = await csv(
      '\uFEFFAddress;Password;Aliases;Covered;Alternate address\r\nc1@example.org;"semi;colon ""quoted""";desk help;no;c1@example.net\r\n\r\nc2@example.org;;;;\r\n',
    );
    expect(status).toBe(201);
    expect(body).toMatchObject({
      items: [
        { address: "c1@example.org", aliases: ["desk@example.org", "help@example.org"], covered: false, login: true },
        { address: "c2@example.org", aliases: [], covered: true, login: false },
      ],
    });
    expect(
      (await json("POST", "/api/session", { body: { email: "c1@example.org", password: 'semi;colon "quoted"' } }))
        .status,
    ).toBe(200);
  });

  it("are all registered or none, with an error for each line", async () => {
    await asOperator("PUT", `${BOXES}/taken@example.org`, {});
    const { status, body } = await csv(
      "address,password\nn1@example.org,\nn2@example.net,\nn1@example.org,short\ntaken@example.org,\nn1@example.org,\n",
    );
    expect(status).toBe(422);
    expect(body.errors).toEqual([
      { line: 3, field: "address", message: "must be an address of example.org" },
      { line: 4, field: "password", message: "must have at least 8 characters" },
      { line: 5, field: "address", message: "is registered already" },
      { line: 6, field: "address", message: "is on line 2 already" },
    ]);
    expect(await exists("n1@example.org")).toBe(false);
  });

  it.each([
    [
      "adress\nx@example.org\n",
      "line 1: adress: unknown column; there are address, password, aliases, covered, alternateAddress",
    ],
    ["password\nx\n", "line 1: address: the first line must name this column"],
    ["address,covered\nx@example.org,maybe\n", "line 2: covered: must be true or false"],
    ['address\n"x@example.org\n', "line 2: has a quote that is never closed"],
    ["address\nx@example.org,y\n", "line 2: has 2 cells, but there are 1 columns"],
    ["address\n", "mailboxes: is empty: give at least one mailbox"],
  ])("as CSV %j are refused", async (text, sentence) => {
    const { status, body } = await csv(text);
    expect([status, body.detail]).toEqual([422, sentence]);
  });

  it("as JSON name the line of an unknown setting, and of a missing address", async () => {
    const { status, body } = await asOperator("POST", BOXES, {
      mailboxes: [{ address: "k1@example.org" }, { adress: "k2" }],
    });
    expect(status).toBe(422);
    expect(body.errors).toEqual([
      { line: 2, field: "address", message: "is missing" },
      { line: 2, field: "adress", message: "unknown setting" },
    ]);
    expect(await exists("k1@example.org")).toBe(false);
    expect((await asOperator("POST", BOXES)).body.detail).toBe("mailboxes: is missing");
    expect((await asOperator("POST", BOXES, "{")).body.detail).toBe("The body is not JSON.");
  });

  it("are a thousand at most, and that many are taken", async () => {
    const list = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ address: `t${i}@example.org`, aliases: [`x${i}`] }));
    const refused = await asOperator("POST", BOXES, list(1001));
    expect([refused.status, refused.body.detail]).toEqual([
      422,
      "mailboxes: has 1001 lines; at most 1000 can come at once",
    ]);
    expect((await asOperator("POST", BOXES, list(1000))).status).toBe(201);
    expect(await exists("t999@example.org")).toBe(true);
  });
});
