/** The MX port: SMTP from strangers. */
import type { Configuration } from "./configuration.ts";
import { listenSmtp, type PortLimits, type PortOptions, type SmtpPort } from "./smtp-port.ts";

/** Strangers have no login here, and must not say where they come from; the others are smtp-server's jokes. */
const DISABLED = ["AUTH", "XCLIENT", "XFORWARD", "WIZ", "SHELL", "KILL"];

export async function listenMx(
  configuration: Configuration,
  limits?: PortLimits,
  shared: Pick<PortOptions, "budget"> = {},
): Promise<SmtpPort> {
  const disabledCommands = configuration.tls ? DISABLED : [...DISABLED, "STARTTLS"];
  const server = { authOptional: true, disabledCommands };
  return listenSmtp(configuration, { name: "MX port", port: configuration.mxPort, server, ...shared }, limits);
}
