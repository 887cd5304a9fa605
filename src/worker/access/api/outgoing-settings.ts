/** `outgoing` of a domain, as it comes and as it is shown. */
import { z } from "@hono/zod-openapi";
import type { OutgoingSettings } from "../../send/contract.ts";
import { limitsOf } from "../../send/rates.ts";

const TRANSPORTS = ["smarthost", "cloudflare", "gateway", "none"] as const;
const TLS = ["implicit", "starttls", "none"] as const;
const PORT = "must be a whole number from 1 to 65535";
const LIMIT = "must be a whole number from 0 to 1000000";

const TRANSPORT =
  "`smarthost`: a server that takes mail for anybody, over SMTP on any port but 25; `cloudflare`: Cloudflare's Email Service, for " +
  "a domain that is onboarded there: at most 5 MiB and 50 recipients, a header of at most 16 KB, From the sender of the envelope; " +
  "`gateway`: through a gateway, straight to the recipients' servers; `none`: mail to other domains is not taken.";

const limit = z.int(LIMIT).min(0, LIMIT).max(1_000_000, LIMIT).nullable().optional();

export const OutgoingInput = z
  .strictObject({
    transport: z.enum(TRANSPORTS).optional().openapi({ description: TRANSPORT }),
    host: z.string().min(1, "is missing").max(255).optional(),
    port: z.int(PORT).min(1, PORT).max(65_535, PORT).optional().openapi({ description: "Of a new host: 465." }),
    tls: z.enum(TLS).optional(),
    username: z.string().min(1, "is empty").max(255).nullable().optional(),
    password: z.string().min(1, "is empty").max(1024).nullable().optional(),
    limits: z
      .strictObject({ userHour: limit, userDay: limit, domainHour: limit, domainDay: limit })
      .optional()
      .openapi({ description: "Recipients in an hour and a day; set by an operator only. null: the usual one." }),
  })
  .openapi("OutgoingChange", { description: "How mail to other domains goes out. Absent settings stay as they are." });

export const OutgoingOutput = z
  .object({
    transport: z.enum(TRANSPORTS),
    host: z.string().optional(),
    port: z.int().optional(),
    tls: z.enum(TLS).optional(),
    username: z.string().optional(),
    passwordSet: z.boolean().optional(),
    limits: z.object({ userHour: z.int(), userDay: z.int(), domainHour: z.int(), domainDay: z.int() }),
  })
  .openapi("Outgoing");

export function outgoingView(settings: OutgoingSettings): z.infer<typeof OutgoingOutput> {
  const { route } = settings;
  const limits = limitsOf(settings);
  if (route?.transport !== "smarthost") return { transport: route?.transport ?? "none", limits };
  const { passwordEncrypted, keyId: _, ...open } = route;
  return { ...open, passwordSet: passwordEncrypted !== undefined, limits };
}
