/** The pages in a real browser: without script, on a phone and on a desk, light and dark, read by axe. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import { createTransport } from "nodemailer";
import { type Browser, type BrowserContext, chromium, type Page, type Request } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Service } from "../../src/local/demo/service.ts";

const TOKEN = "operator-token-of-the-tests";
const PASSWORD = "correct horse battery";
/** Widths and colours do not depend on each other: two of four are enough. */
const VIEWS = [
  { name: "a phone in the dark", viewport: { width: 390, height: 800 }, colorScheme: "dark" },
  { name: "a desk in the light", viewport: { width: 1280, height: 850 }, colorScheme: "light" },
] as const;
/** Octets of a page with its style sheet: a bad line takes seconds for more. */
const MAX_PAGE_OCTETS = 40_000;
const HTML =
  '<h1>Winter sale</h1><p onclick="alert(1)">Look</p><img src="https://tracker.test/p.gif"><script>alert(1)</script>';

const state = mkdtempSync(join(tmpdir(), "holdfast-pages-"));
let service: Service;
let browser: Browser;

beforeAll(async () => {
  service = await Service.start(state, TOKEN);
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  await service.call("PUT", "/api/domains/example.org", {
    continuity: true,
    origin: { host: "127.0.0.1", port: 9, tls: "none" },
  });
  await service.call("PUT", "/api/domains/example.org/mailboxes/alice@example.org", { password: PASSWORD });
  await service.call("PUT", "/api/domains/example.org/mode", { mode: "emergency" });
  const { host, port } = service.addresses.mx;
  const sender = createTransport({ host, port, ignoreTLS: true });
  const mail = { from: '"J\u00fcrgen" <j@example.net>', to: "alice@example.org" };
  await sender.sendMail({
    ...mail,
    subject: "Numbers",
    text: "See below.",
    attachments: [{ filename: "a.csv", content: "1" }],
  });
  await sender.sendMail({ ...mail, subject: "Winter sale", html: HTML });
  sender.close();
  await prepareOutgoing();
});

/** A queue with a letter that nobody takes, and one of everything that an administrator sets up for outgoing mail. */
async function prepareOutgoing(): Promise<void> {
  const domain = "/api/domains/example.org";
  await service.call("PUT", domain, { outgoing: { transport: "smarthost", host: "127.0.0.1", port: 9, tls: "none" } });
  const login = { email: "alice@example.org", password: PASSWORD };
  const { token } = await service.call<{ token: string }>("POST", "/api/session", login);
  const letter = { to: ["a.very.long.name.of.a.person@department.of.something.example.net"], subject: "Prices" };
  await service.call("POST", "/api/mail/messages", { ...letter, text: "See below." }, token);
  await service.call("PUT", `${domain}/outgoing/stops/alice@example.org`);
  await service.call("POST", `${domain}/dkim`, {});
  await service.call("POST", `${domain}/relays`, { certificate: "ab".repeat(32), label: "Cellar" });
  await service.call("POST", `${domain}/journal-addresses`, { format: "copies", sources: ["198.41.0.0/24"] });
}

afterAll(async () => {
  await browser?.close();
  await service?.stop();
  rmSync(state, { recursive: true, force: true });
});

async function deliver(subject: string): Promise<void> {
  const { host, port } = service.addresses.mx;
  const sender = createTransport({ host, port, ignoreTLS: true });
  await sender.sendMail({ from: "j@example.net", to: "alice@example.org", subject, text: "Hello." });
  sender.close();
}

async function signedIn(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  await page.goto(url("/login"));
  await page.fill("#email", "alice@example.org");
  await page.fill("#password", PASSWORD);
  await page.click("main button[type=submit]");
  await page.waitForURL("**/mail");
  return page;
}

const url = (where: string): string => new URL(where, service.addresses.http).href;

/** What a page must be, wherever it is shown. */
async function inspect(page: Page, where: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze();
  expect(
    violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`),
    where,
  ).toEqual([]);
  const width = page.viewportSize()?.width ?? 0;
  expect(await page.evaluate(() => document.documentElement.scrollWidth), where).toBeLessThanOrEqual(width);
}

async function visit(page: Page, where: string): Promise<void> {
  const requests: string[] = [];
  const watch = (request: Request): void => void requests.push(request.url());
  page.on("request", watch);
  await page.goto(url(where));
  page.off("request", watch);
  expect(
    requests.every((one) => one.startsWith(service.addresses.http)),
    `${where}: ${requests.join(" ")}`,
  ).toBe(true);
  const octets = await page.evaluate(() => {
    const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    return entries.reduce((sum, entry) => sum + (entry as PerformanceResourceTiming).decodedBodySize, 0);
  });
  // The stylesheet may come from the browser's cache: then it is the page alone.
  expect(octets, where).toBeGreaterThan(0);
  expect(octets, where).toBeLessThan(MAX_PAGE_OCTETS);
  await inspect(page, where);
}

describe.each(VIEWS)("on $name", ({ viewport, colorScheme }) => {
  it("the panel is accessible, small and of one piece", async () => {
    const context = await browser.newContext({ viewport, colorScheme });
    await context.addCookies([{ name: "holdfast", value: TOKEN, url: service.addresses.http }]);
    const page = await context.newPage();
    for (const where of [
      "/panel",
      "/panel/domains/example.org",
      "/panel/domains/example.org/outgoing",
      "/panel/domains/example.org/mode?to=normal",
      "/panel/domains/example.org/mailboxes/alice%40example.org",
      "/archive",
      "/nowhere",
    ]) {
      await visit(page, where);
      for (const summary of await page.locator("summary").all()) await summary.click();
      await inspect(page, `${where}, all open`);
    }
    await context.close();
  });

  it("the webmail is accessible, small and loads nothing from elsewhere", async () => {
    const context = await browser.newContext({ viewport, colorScheme });
    const page = await context.newPage();
    await visit(page, "/login");
    await page.fill("#email", "alice@example.org");
    await page.fill("#password", PASSWORD);
    await page.click("main button[type=submit]");
    await page.waitForURL("**/mail");
    await visit(page, "/mail");
    for (const subject of ["Numbers", "Winter sale"]) {
      const path = (await page.getByRole("link", { name: subject }).getAttribute("href")) ?? "";
      await visit(page, path);
      await page.goto(url("/mail"));
    }
    await visit(page, "/archive?q=sale");
    await visit(page, "/mail/folders/trash");
    await context.close();
  });
});

describe("without script", () => {
  it("a person signs in, reads HTML mail in its frame, deletes it and signs out", async () => {
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(url("/mail"));
    expect(page.url()).toBe(url("/login?next=%2Fmail"));
    await page.fill("#email", "Alice@Example.org");
    await page.fill("#password", PASSWORD);
    await page.click("main button[type=submit]");
    await page.getByRole("link", { name: "Winter sale" }).click();
    await page.frameLocator("iframe").getByRole("heading", { name: "Winter sale" }).waitFor();
    await page.getByText("Waiting for your own mail server.").waitFor();
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByText("not delivered to your own mail server any more").waitFor();
    expect(await page.getByRole("link", { name: "Winter sale" }).count()).toBe(0);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.goto(url("/mail"));
    expect(page.url()).toContain("/login");
    await context.close();
  });

  it("an administrator switches the mode after a page that says how much waits", async () => {
    const context = await browser.newContext({ javaScriptEnabled: false });
    await context.addCookies([{ name: "holdfast", value: TOKEN, url: service.addresses.http }]);
    const page = await context.newPage();
    await page.goto(url("/panel/domains/example.org"));
    await page.getByRole("heading", { name: "Emergency", exact: true }).waitFor();
    await page.getByRole("link", { name: "Switch to normal mode" }).click();
    await page.getByText("1 message waits for your mail server now.").waitFor();
    await page.getByRole("button", { name: "Switch to normal mode" }).click();
    await page.getByRole("heading", { name: "Normal", exact: true }).waitFor();
    await context.close();
  });

  it("an operator has mail forwarded: what that needs is asked for when it is chosen, and shown again", async () => {
    const origin = { host: "mail.forward.example", port: 465, tls: "implicit" };
    await service.call("PUT", "/api/domains/forward.example", { continuity: true, origin });
    const context = await browser.newContext({ javaScriptEnabled: false });
    await context.addCookies([{ name: "holdfast", value: TOKEN, url: service.addresses.http }]);
    const page = await context.newPage();
    const settings = page.getByText("Settings", { exact: true });
    await page.goto(url("/panel/domains/forward.example"));
    await settings.click();
    const destination = page.getByLabel("Forward to the domain");
    expect(await destination.isVisible()).toBe(false);
    await page.getByLabel("How mail gets there").selectOption("Forwarded by Email Routing");
    await destination.fill("forward.example");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText("cannot be forward.example: its mail comes here").waitFor();
    await destination.fill("inside.forward.example");
    await page.getByLabel("What cannot be forwarded").selectOption("Through the gateway");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText("Saved.").waitFor();
    await settings.click();
    expect(await destination.inputValue()).toBe("inside.forward.example");
    expect(await page.getByLabel("What cannot be forwarded").inputValue()).toBe("gateway");
    await context.close();
  });
});

describe("a page that is left open", () => {
  beforeAll(() => service.call("PUT", "/api/domains/example.org/mode", { mode: "emergency" }));

  it("shows a message that comes, and keeps where the keyboard is", async () => {
    const context = await browser.newContext();
    const page = await signedIn(context);
    await page.getByRole("link", { name: "Numbers" }).focus();
    await deliver("While you were looking");
    await page.getByRole("link", { name: "While you were looking" }).waitFor();
    const focused = await page.evaluate(() => document.activeElement?.textContent ?? "");
    expect(focused).toContain("Numbers");
    const [unread] = await page.locator("#folders b").allTextContents();
    await deliver("And again");
    await page.getByText("And again").waitFor();
    expect(await page.locator("#folders b").allTextContents()).not.toEqual([unread]);
    await inspect(page, "/mail, renewed");
    await context.close();
  });

  it("shows what came while nobody looked at it", async () => {
    const context = await browser.newContext();
    const page = await signedIn(context);
    const hide = (hidden: boolean) =>
      page.evaluate((state) => {
        Object.defineProperty(document, "hidden", { configurable: true, value: state });
        document.dispatchEvent(new Event("visibilitychange"));
      }, hidden);
    await hide(true);
    await deliver("Behind another window");
    await hide(false);
    await page.getByRole("link", { name: "Behind another window" }).waitFor();
    await context.close();
  });

  it("shows an administrator the mode and the backlog as they change, and keeps what is typed", async () => {
    const context = await browser.newContext();
    await context.addCookies([{ name: "holdfast", value: TOKEN, url: service.addresses.http }]);
    const page = await context.newPage();
    await page.goto(url("/panel/domains/example.org"));
    await page.locator("#settings summary").click();
    await page.fill("#postmaster", "half an addr");
    const waits = Number(await page.locator("#domain-figures dd").first().textContent());
    await deliver("For the backlog");
    await page.locator("#domain-figures dd", { hasText: String(waits + 1) }).waitFor();
    await service.call("PUT", "/api/domains/example.org/mode", { mode: "normal" });
    await page.getByRole("heading", { name: "Normal" }).waitFor();
    expect(await page.evaluate(() => document.body.className)).toBe("");
    expect(await page.inputValue("#postmaster")).toBe("half an addr");
    await service.call("PUT", "/api/domains/example.org/mode", { mode: "emergency" });
    await page.getByRole("heading", { name: "Emergency" }).waitFor();
    await context.close();
  });
});
