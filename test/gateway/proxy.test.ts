import { describe, expect, it, onTestFinished } from "vitest";
import { listenMx } from "../../src/gateway/mx.ts";
import { networkOf } from "../../src/gateway/rate.ts";
import type { SmtpPort } from "../../src/gateway/smtp-port.ts";
import { RECEIVING, SmtpClient } from "./smtp-client.ts";
import { SECRET, startWorker } from "./worker-double.ts";

async function behind(proxies: readonly string[], connectionRate = 0): Promise<{ mx: SmtpPort; ips: () => unknown[] }> {
  const { url, heard } = await startWorker();
  const mx = await listenMx({ ...RECEIVING, worker: url, secrets: [SECRET], tls: null, proxies, connectionRate });
  onTestFinished(() => mx.close());
  return { mx, ips: () => heard.frames.flatMap((frame) => (frame.op === "mail" ? [frame.client.ip] : [])) };
}

const header = (ip: string) => `PROXY ${ip.includes(":") ? "TCP6" : "TCP4"} ${ip} 192.0.2.25 40000 25\r\n`;

describe("a load balancer before the MX port", () => {
  it("that is listed says where the sender comes from", async () => {
    const { mx, ips } = await behind(["127.0.0.1"]);
    const client = await SmtpClient.connect(mx.port);
    client.write(header("198.51.100.7"));
    expect(await client.reply()).toMatch(/^220 /);
    await client.command("EHLO sender.example.net");
    await client.command("MAIL FROM:<a@example.net>");
    expect(await client.command("RCPT TO:<b@example.org>")).toMatch(/^250 /);
    expect(ips()).toEqual(["198.51.100.7"]);
  });

  it("that is not listed is a sender like any other: its header is no command, and it is greeted by its own address", async () => {
    const { mx, ips } = await behind(["192.0.2.1"]);
    const client = await SmtpClient.greet(mx.port);
    expect(await client.command(header("198.51.100.7").trim())).toMatch(/^500 /);
    await client.command("MAIL FROM:<a@example.net>");
    await client.command("RCPT TO:<b@example.org>");
    expect(ips()).toEqual(["127.0.0.1"]);
  });

  it("gets no mail through without its header", async () => {
    const { mx, ips } = await behind(["127.0.0.1"]);
    const client = await SmtpClient.connect(mx.port);
    client.write("EHLO sender.example.net\r\n");
    expect(await client.reply()).toBeNull();
    expect(ips()).toEqual([]);
  });
});

/** The code of the greeting, which is all that the proxy's client has. */
async function greeted(port: number, ip: string): Promise<string | undefined> {
  const client = await SmtpClient.connect(port);
  client.write(header(ip));
  const reply = await client.reply();
  client.destroy();
  return reply?.slice(0, 3);
}

it("an address that connects too often in a minute hears 421, others do not", async () => {
  const { mx } = await behind(["127.0.0.1"], 2);
  // Should a minute end in between, the count begins anew: of six no more than four are greeted.
  const six: (string | undefined)[] = [];
  for (let count = 0; count < 6; count++) six.push(await greeted(mx.port, "198.51.100.7"));
  expect(six[0]).toBe("220");
  expect(six.filter((code) => code === "421").length).toBeGreaterThanOrEqual(2);
  expect(await greeted(mx.port, "198.51.100.8")).toBe("220");
});

it("all addresses of one IPv6 network of 64 bits count as one, for whoever has one has them all", async () => {
  const { mx } = await behind(["127.0.0.1"], 2);
  const six: (string | undefined)[] = [];
  for (const end of ["::1", "::2", ":0:0:3:0", ":a:b:c:d", "::5", "::6"])
    six.push(await greeted(mx.port, `2001:db8:0:7${end}`));
  expect(six[0]).toBe("220");
  expect(six.filter((code) => code === "421").length).toBeGreaterThanOrEqual(2);
  expect(await greeted(mx.port, "2001:db8:0:8::1")).toBe("220");
});

it.each([
  ["192.0.2.7", "192.0.2.7"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["2001:0DB8:0:0:1:2:3:4", "2001:db8:0:0::/64"],
  ["2001:db8:1:2::", "2001:db8:1:2::/64"],
  ["::1", "0:0:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["1::2:3:4:5:6:7", "1:0:2:3::/64"],
])("%s comes from %s", (address, network) => {
  expect(networkOf(address)).toBe(network);
});
