/** DATA on the MX port: from 354 to the final dot, held in memory, refused where it may not be taken. */
import type { SMTPServerDataStream } from "smtp-server";
import { MAX_MESSAGE_BYTES, MX_BARE_LINE_PAUSE, MX_MESSAGE_TIMEOUT } from "../core/limits.ts";
import type { Reply } from "../core/outcome.ts";
import { BareLines } from "../core/protocol/smtp/bare-lines.ts";
import { HeldMessage } from "./held-message.ts";
import type { MemoryBudget } from "./memory.ts";

const reply = (code: number, enhanced: string, text: string): Reply => ({ code, enhanced, text });
const bareLines = reply(550, "5.5.2", "Bare CR or LF in the message: lines end with CRLF (RFC 5321 section 2.3.8)");
const tooLarge = reply(552, "5.3.4", `Message too large, the limit is ${MAX_MESSAGE_BYTES} octets`);
const full = reply(452, "4.3.1", "Too much mail at once, please try again later");
const slow = reply(451, "4.4.2", "The message did not arrive in time");

/** `given_up`: the sender was answered and its connection closed. `gone`: it went away. */
export type ReadData =
  | { readonly kind: "whole"; readonly message: HeldMessage }
  | { readonly kind: "refused"; readonly reply: Reply }
  | { readonly kind: "given_up" }
  | { readonly kind: "gone" };

export interface DataTimes {
  /** Milliseconds, for all of the message. */
  readonly whole: number;
  /** Milliseconds of silence after a bare CR or LF. */
  readonly bareLinePause: number;
}

/**
 * @param stream without stuffed dots; only CRLF.CRLF ends it
 * @param giveUp sends the reply and closes the connection
 * @returns a whole message is the caller's to release
 */
export function readData(
  stream: SMTPServerDataStream,
  budget: MemoryBudget,
  giveUp: (reply: Reply) => void,
  times: DataTimes = { whole: MX_MESSAGE_TIMEOUT, bareLinePause: MX_BARE_LINE_PAUSE },
): Promise<ReadData> {
  const message = new HeldMessage(budget);
  const bare = new BareLines();
  let pause: NodeJS.Timeout | undefined;
  return new Promise((resolve) => {
    let ended = false;
    const end = (result: ReadData) => {
      // `close` comes after `end`, and after it the message is the caller's.
      if (ended) return;
      ended = true;
      clearTimeout(pause);
      clearTimeout(whole);
      if (result.kind !== "whole") message.release();
      resolve(result);
    };
    const leave = (answer: Reply) => {
      giveUp(answer);
      end({ kind: "given_up" });
      stream.destroy();
    };
    const whole = setTimeout(() => leave(slow), times.whole);
    stream.on("data", (part: Buffer) => {
      clearTimeout(pause);
      message.add(part);
      // A sender that ends its lines with LF alone ends its message so too, and would wait for ever.
      if (bare.look(part)) pause = setTimeout(() => leave(bareLines), times.bareLinePause);
    });
    stream.once("end", () => {
      if (bare.end()) return end({ kind: "refused", reply: bareLines });
      if (message.dropped === null) return end({ kind: "whole", message });
      end({ kind: "refused", reply: message.dropped === "too_large" ? tooLarge : full });
    });
    stream.once("close", () => end({ kind: "gone" }));
  });
}
