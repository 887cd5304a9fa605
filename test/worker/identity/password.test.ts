import { describe, expect, it } from "vitest";
import { hashPassword, verifyPassword } from "../../../src/worker/identity/password.ts";

describe("a password", () => {
  it("is verified against its own hash alone, and is salted", async () => {
    const [one, two] = [await hashPassword("correct horse"), await hashPassword("correct horse")];
    expect(one).toMatch(/^scrypt\$16384\$8\$5\$[A-Za-z0-9_-]{22}\$[A-Za-z0-9_-]{43}$/);
    expect(one).not.toBe(two);
    expect(await verifyPassword("correct horse", one)).toBe(true);
    expect(await verifyPassword("correct horsf", one)).toBe(false);
  });

  it("is the same in both forms of Unicode that keyboards make", async () => {
    expect(await verifyPassword("Passwo\u0308rter", await hashPassword("Passw\u00f6rter"))).toBe(true);
  });

  it("is read from standard base64 with padding as well", async () => {
    const [scheme, n, r, p, salt = "", hash = ""] = (await hashPassword("correct horse")).split("$");
    const standard = (text: string) =>
      `${text.replaceAll("-", "+").replaceAll("_", "/")}${"=".repeat((4 - (text.length % 4)) % 4)}`;
    expect(await verifyPassword("correct horse", [scheme, n, r, p, standard(salt), standard(hash)].join("$"))).toBe(
      true,
    );
  });

  it.each([
    null,
    "",
    "correct horse",
    "scrypt$16384$8$5$$",
    "scrypt$9999999$8$5$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaGhhc2g",
  ])("is never right where %j is stored", async (stored) => {
    expect(await verifyPassword("correct horse", stored)).toBe(false);
  });

  it("of an all-zero hash is not right for an unknown login", async () => {
    expect(await verifyPassword("", null)).toBe(false);
  });
});
