import { describe, expect, it } from "vitest";
import { classifyHost } from "../../src/core/origin-host.ts";

describe("the host of an origin", () => {
  it.each([
    ["mail.example.org", "mail.example.org"],
    ["MAIL.Example.org.", "mail.example.org"],
    ["m\u00fcnchen.example", "xn--mnchen-3ya.example"],
    ["8.8.8.8", "8.8.8.8"],
    ["172.32.0.1", "172.32.0.1"],
    ["100.128.0.1", "100.128.0.1"],
    ["2606:4700:4700::1111", "2606:4700:4700::1111"],
    ["[2606:4700:4700::1111]", "2606:4700:4700::1111"],
    ["::ffff:8.8.8.8", "::ffff:808:808"],
    ["64:ff9b::8.8.8.8", "64:ff9b::808:808"],
  ])("%s is public", (given, host) => {
    expect(classifyHost(given)).toEqual({ host, kind: "public" });
  });

  it.each([
    "localhost",
    "LOCALHOST.",
    "mail.localhost",
    "mailserver",
    "printer.local",
    "mail.internal",
    "nas.home.arpa",
    "127.0.0.1",
    "127.1",
    "0177.0.0.1",
    "0x7f000001",
    "2130706433",
    "0",
    "10.1.2.3",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "\uff11\uff12\uff17.0.0.1",
    "::",
    "::1",
    "[::1]",
    "0:0:0:0:0:0:0:1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::8.8.8.8",
    "64:ff9b:1:a00:0:100:808:808",
    "2002:7f00:1::",
    "2001:db8::1",
    "2001::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "ff02::1",
  ])("%s is private", (given) => {
    expect(classifyHost(given).kind).toBe("private");
  });

  it.each([
    "",
    " ",
    "mail example.org",
    "mail.example.org:465",
    "https://mail.example.org",
    "user@mail.example.org",
    "mail.example.org/path",
    "mail_server.example.org",
    "-mail.example.org",
    "mail..example.org",
    "1.2.3.4.5",
    "256.1.1.1",
    "fe80::1%eth0",
    "[::1",
    "::g",
    `${"a".repeat(64)}.example.org`,
  ])("%j is none", (given) => {
    expect(classifyHost(given).kind).toBe("invalid");
  });
});
