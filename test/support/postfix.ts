/** A Postfix of the test's own, on loopback, with its own folders: as an organisation's server, or as a stranger's. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface PostfixOptions {
  /** Domains that it delivers into `messages()`; none: it relays only. */
  readonly domains?: readonly string[];
  /** Everything goes there, `host:port`. */
  readonly relayTo?: { readonly host: string; readonly port: number };
  /** Lines of regexp tables (access(5)), consulted at MAIL, RCPT, DATA and after the final dot. */
  readonly access?: { readonly [at in "mail" | "rcpt" | "data" | "final"]?: readonly string[] };
  /** Further ports with smtpd options of their own, such as `{greeting: ["smtpd_client_restrictions=reject"]}`. */
  readonly ports?: Readonly<Record<string, readonly string[]>>;
  /** Lines of main.cf, over those below. */
  readonly settings?: readonly string[];
}

const SERVICES = `pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`;

export class Postfix {
  readonly #folder = mkdtempSync(join(tmpdir(), "holdfast-postfix-"));
  readonly #options: PostfixOptions;
  /** `smtp`, and those of the options. */
  readonly ports: Readonly<Record<string, number>>;

  private constructor(options: PostfixOptions, ports: Record<string, number>) {
    this.#options = options;
    this.ports = ports;
  }

  static async start(options: PostfixOptions): Promise<Postfix> {
    const ports: Record<string, number> = {};
    for (const name of ["smtp", ...Object.keys(options.ports ?? {})]) ports[name] = await freePort();
    const postfix = new Postfix(options, ports);
    postfix.#configure();
    postfix.start();
    return postfix;
  }

  get port(): number {
    return this.ports.smtp ?? 0;
  }

  /** Again, on the same ports, after `stop`. */
  start(): void {
    this.#postfix("start");
  }

  stop(): void {
    this.#postfix("stop");
  }

  /** Stops and forgets it. */
  remove(): void {
    if (existsSync(join(this.#folder, "queue/pid/master.pid"))) {
      try {
        this.stop();
      } catch (error) {
        // It had been stopped before.
        if (!String(error).includes("not running")) console.warn(String(error));
      }
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** What it delivered, with LF line ends as it stores them, in no order. */
  messages(): Buffer[] {
    const folder = join(this.#folder, "mail/inbox/new");
    if (!existsSync(folder)) return [];
    return readdirSync(folder).map((name) => readFileSync(join(folder, name)));
  }

  /** How many messages are in its queue, or in one of its queues; by looking at the folders: that may be done often. */
  queued(name?: "maildrop" | "incoming" | "active" | "deferred"): number {
    const names = name === undefined ? ["maildrop", "incoming", "active", "deferred"] : [name];
    const files = names.flatMap((one) =>
      readdirSync(join(this.#folder, "queue", one), { recursive: true, withFileTypes: true }),
    );
    return files.filter((entry) => entry.isFile()).length;
  }

  /** Changes lines of main.cf, `name = value`, and starts it anew. */
  set(...lines: readonly string[]): void {
    this.stop();
    execFileSync("postconf", ["-c", this.#etc, "-e", ...lines]);
    this.start();
  }

  /** Tries all deferred mail now. */
  flush(): void {
    execFileSync("postqueue", ["-c", this.#etc, "-f"]);
  }

  log(): string {
    const file = join(this.#folder, "postfix.log");
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  get #etc(): string {
    return join(this.#folder, "etc");
  }

  #postfix(command: string): void {
    try {
      execFileSync("postfix", ["-c", this.#etc, command], { stdio: ["ignore", "pipe", "pipe"] });
    } catch (error) {
      throw new Error(`postfix ${command}: ${(error as { stderr?: Buffer }).stderr ?? error}\n${this.log()}`);
    }
  }

  #configure(): void {
    const { domains = [], relayTo, access = {}, ports = {}, settings = [] } = this.#options;
    const folder = this.#folder;
    chmodSync(folder, 0o755);
    for (const name of ["etc", "queue", "data", "mail"]) mkdirSync(join(folder, name));
    execFileSync("chown", ["postfix", join(folder, "data")]);
    execFileSync("chown", ["nobody", join(folder, "mail")]);
    const uid = execFileSync("id", ["-u", "nobody"], { encoding: "utf8" }).trim();
    const gid = execFileSync("id", ["-g", "nobody"], { encoding: "utf8" }).trim();
    const table = (at: string) => {
      const file = join(folder, "etc", `${at}.regexp`);
      writeFileSync(file, `${(access[at as keyof typeof access] ?? []).join("\n")}\n`);
      return `regexp:${file}`;
    };
    writeFileSync(
      join(folder, "etc/main.cf"),
      `${[
        "compatibility_level = 3.6",
        `queue_directory = ${folder}/queue`,
        `data_directory = ${folder}/data`,
        `maillog_file = ${folder}/postfix.log`,
        `maillog_file_prefixes = ${tmpdir()}`,
        "mail_owner = postfix",
        "setgid_group = postdrop",
        "inet_interfaces = 127.0.0.1",
        "inet_protocols = ipv4",
        "myhostname = mail.postfix.test",
        "mydestination =",
        "mynetworks = 127.0.0.0/8",
        "alias_maps =",
        "alias_database =",
        "smtpd_delay_reject = no",
        "local_header_rewrite_clients =",
        "smtpd_peername_lookup = no",
        "smtputf8_enable = no",
        "disable_dns_lookups = yes",
        "smtp_tls_security_level = none",
        "minimal_backoff_time = 2s",
        "maximal_backoff_time = 4s",
        "queue_run_delay = 2s",
        `relayhost = ${relayTo ? `[${relayTo.host}]:${relayTo.port}` : ""}`,
        `virtual_mailbox_domains = ${domains.join(" ")}`,
        `virtual_mailbox_base = ${folder}/mail`,
        "virtual_mailbox_maps = static:inbox/",
        `virtual_uid_maps = static:${uid}`,
        `virtual_gid_maps = static:${gid}`,
        "virtual_minimum_uid = 1",
        `smtpd_sender_restrictions = check_sender_access ${table("mail")}`,
        `smtpd_recipient_restrictions = check_recipient_access ${table("rcpt")}, permit_mynetworks, reject_unauth_destination`,
        `smtpd_data_restrictions = check_sender_access ${table("data")}`,
        `smtpd_end_of_data_restrictions = check_sender_access ${table("final")}`,
        ...settings,
      ].join("\n")}\n`,
    );
    const listeners = Object.entries(this.ports).map(
      ([name, port]) =>
        `127.0.0.1:${port} inet n - n - - smtpd${(ports[name] ?? []).map((option) => ` -o ${option}`).join("")}`,
    );
    writeFileSync(join(folder, "etc/master.cf"), `${listeners.join("\n")}\n${SERVICES}`);
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
