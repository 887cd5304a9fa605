/**
 * The organisation's own server of the demonstration: an SMTP server in a process of its own, to be killed and started.
 * Arguments: folder, port. Messages from the parent: `{answer: "451" | "250"}`. A message is on disk before it is answered;
 * between the two lies up to DEMO_ORIGIN_SLOW milliseconds, as a content filter takes them.
 */
import { appendFileSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SMTPServer } from "smtp-server";

const [folder, port] = process.argv.slice(2);
if (folder === undefined || port === undefined) throw new Error("usage: origin-process.ts FOLDER PORT");
mkdirSync(folder, { recursive: true });

let busy = process.env.DEMO_ORIGIN_BUSY === "1";
const slow = Number(process.env.DEMO_ORIGIN_SLOW ?? "0");
let received = 0;

const server = new SMTPServer({
  name: "mail.example.org",
  disabledCommands: ["AUTH", "STARTTLS"],
  disableReverseLookup: true,
  logger: false,
  onRcptTo(_address, _session, done) {
    if (busy) return done(Object.assign(new Error("4.3.2 System is coming up, try again"), { responseCode: 451 }));
    done();
  },
  onData(stream, session, done) {
    const parts: Buffer[] = [];
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("end", () => {
      const name = `${process.pid}-${String(++received).padStart(6, "0")}`;
      const { mailFrom, rcptTo } = session.envelope;
      const envelope = {
        from: mailFrom ? mailFrom.address : "",
        to: rcptTo.map((recipient) => recipient.address),
        at: Date.now(),
      };
      writeFileSync(join(folder, `${name}.tmp`), Buffer.concat(parts));
      writeFileSync(join(folder, `${name}.json`), JSON.stringify(envelope));
      renameSync(join(folder, `${name}.tmp`), join(folder, `${name}.eml`));
      const answer = () => {
        done(null, `2.0.0 Ok: queued as ${name}`);
        setImmediate(() => appendFileSync(join(folder, "answered"), `${name}\n`));
      };
      if (slow === 0) answer();
      else setTimeout(answer, Math.random() * slow);
    });
  },
});

server.on("error", (error) => console.error(`origin: ${error.message}`));
process.on("message", (message: { answer: "451" | "250" }) => {
  busy = message.answer === "451";
});
server.listen(Number(port), "127.0.0.1", () => {
  const address = server.server.address();
  process.send?.({ port: typeof address === "object" && address ? address.port : Number(port) });
});
