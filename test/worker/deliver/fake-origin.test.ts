import { connect } from "cloudflare:sockets";
import { describe, expect, it } from "vitest";
import { createOrigin } from "../origin-control.ts";

async function greetingOf(address: { hostname: string; port: number }, secureTransport: "on" | "off"): Promise<string> {
  const socket = connect(address, { secureTransport, allowHalfOpen: false });
  await socket.opened;
  const { value } = await socket.readable.getReader().read();
  await socket.close();
  return new TextDecoder().decode(value);
}

describe("the fake origin, seen from workerd", () => {
  it("greets over plain TCP as it is told to", async () => {
    const origin = await createOrigin({ steps: { greeting: "554 5.3.2 not today" } });
    expect(await greetingOf({ hostname: "127.0.0.1", port: origin.port }, "off")).toBe("554 5.3.2 not today\r\n");
    await origin.close();
  });

  it.each(["localhost", "127.0.0.1"])("greets %s over TLS with a certificate that workerd trusts", async (hostname) => {
    const origin = await createOrigin({ tls: "implicit" });
    expect(await greetingOf({ hostname, port: origin.port }, "on")).toBe("220 origin.test ESMTP\r\n");
    await origin.close();
  });

  it("is not trusted with a certificate of a stranger", async () => {
    const origin = await createOrigin({ tls: "implicit", certificate: "stranger" });
    await expect(greetingOf({ hostname: "127.0.0.1", port: origin.port }, "on")).rejects.toThrow();
    await origin.close();
  });
});
