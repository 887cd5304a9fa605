import { describe, expect, it } from "vitest";
import { openSecret, sealSecret } from "../../../src/worker/identity/secret.ts";

const OLD = `old:${btoa("a".repeat(32))}`;
const NEW = `new:${btoa("b".repeat(32))}`;

describe("a stored password of somebody else's server", () => {
  it("comes back as it was, and never looks the same twice", async () => {
    const env = { MASTER_KEYS: OLD };
    const first = await sealSecret(env, "pässword\n");
    const second = await sealSecret(env, "pässword\n");
    expect(first.keyId).toBe("old");
    expect(first.encrypted).not.toBe(second.encrypted);
    expect(await openSecret(env, first.encrypted, first.keyId)).toBe("pässword\n");
  });

  it("is sealed by the newest key and opened by any that is listed", async () => {
    const before = await sealSecret({ MASTER_KEYS: OLD }, "secret");
    const rotated = { MASTER_KEYS: `${NEW}, ${OLD}` };
    expect(await openSecret(rotated, before.encrypted, before.keyId)).toBe("secret");
    expect((await sealSecret(rotated, "secret")).keyId).toBe("new");
  });

  it("does not open without its key, with another, or when an octet was changed", async () => {
    const { encrypted, keyId } = await sealSecret({ MASTER_KEYS: OLD }, "secret");
    await expect(openSecret({ MASTER_KEYS: NEW }, encrypted, keyId)).rejects.toThrow(
      'MASTER_KEYS does not list the key "old" that sealed this secret.',
    );
    await expect(openSecret({ MASTER_KEYS: NEW }, encrypted, "new")).rejects.toThrow(
      'The key "new" does not open this secret.',
    );
    const octets = Uint8Array.from(atob(encrypted), (char) => char.charCodeAt(0));
    octets[20] = (octets[20] ?? 0) ^ 1;
    const changed = btoa(String.fromCharCode(...octets));
    await expect(openSecret({ MASTER_KEYS: OLD }, changed, keyId)).rejects.toThrow(
      'The key "old" does not open this secret.',
    );
  });

  it.each(["", "k1:short", "k1", "k1:%%%"])("says what is wrong with MASTER_KEYS %j, never its value", async (keys) => {
    const failure = await sealSecret({ MASTER_KEYS: keys }, "secret").catch((error: unknown) => error);
    expect(String(failure)).toMatch(/^SecretError: (MASTER_KEYS |A key or sealed secret is not base64)/);
    expect(String(failure)).not.toContain("short");
  });
});
