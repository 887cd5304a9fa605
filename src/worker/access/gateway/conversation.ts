/** One SMTP transaction of a gateway, as core/protocol/gateway/frames.ts has it: frames in, the mail's way called, replies out. */
import type { Client } from "../../../core/envelope.ts";
import { GATEWAY_FRAME_BYTES, GATEWAY_FRAME_TIMEOUT, GATEWAY_IDLE_TIMEOUT } from "../../../core/limits.ts";
import { type MailFrame, readGatewayFrame, type Submitter, writeFrame } from "../../../core/protocol/gateway/frames.ts";
import type { MailFrom, OpenTransaction, Transaction } from "../../receive/contract.ts";
import type { SubmissionTransaction } from "../../submission/transaction.ts";
import { Inbox } from "./inbox.ts";

/** submission/transaction.ts: what comes by a submission port. */
type OpenSubmission = (client: Client, mail: MailFrom, shown: Submitter) => SubmissionTransaction;

/** From the first frame to the last. Never rejects: whoever waits on the other side is answered, or is gone. */
export async function converse(socket: WebSocket, open: OpenTransaction, submit: OpenSubmission): Promise<void> {
  const inbox = new Inbox(socket);
  let transaction: Transaction | null = null;
  try {
    for (;;) {
      const frame = await inbox.next(GATEWAY_IDLE_TIMEOUT);
      if (!frame) break;
      const read = "text" in frame ? readGatewayFrame(frame.text) : { ok: false as const, error: "octets before data" };
      if (!read.ok) throw new ProtocolError(read.error);
      const said = read.value;
      if (said.op === "abort") break;
      if (said.op === "mail") {
        if (transaction) throw new ProtocolError("mail twice");
        const { client, mail, submitter } = said;
        if (submitter) {
          const submission = submit(client, mailOf(mail), submitter);
          transaction = submission;
          send(socket, { reply: await submission.begun() });
        } else transaction = open(client, mailOf(mail));
        continue;
      }
      if (!transaction) throw new ProtocolError(`${said.op} before mail`);
      if (said.op === "rcpt") {
        send(socket, { reply: await transaction.recipient(said.to) });
        continue;
      }
      const current = transaction;
      // `message` ends the transaction, whatever comes of it.
      transaction = null;
      send(socket, { reply: await current.message({ size: said.size, chunks: octets(inbox, socket, said.size) }) });
      // The gateway keeps the socket open until we close it, and this invocation lives as long as the socket.
      await current.afterwards();
      break;
    }
    socket.close(1000);
  } catch (error) {
    console.error("a gateway's transaction failed:", String(error));
    if (error instanceof ProtocolError) socket.close(1002, error.message.slice(0, 100));
    else {
      send(socket, {
        reply: { code: 451, enhanced: "4.3.0", text: "The message could not be taken, please try again later" },
      });
      socket.close(1011);
    }
  } finally {
    transaction?.abort();
  }
}

class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

/** The message's frames, each acknowledged when the next is asked for. */
async function* octets(inbox: Inbox, socket: WebSocket, size: number): AsyncGenerator<Uint8Array> {
  let count = 0;
  for (let left = size; left > 0; ) {
    const frame = await inbox.next(GATEWAY_FRAME_TIMEOUT);
    if (!frame || !("octets" in frame)) throw new Error("the gateway broke off in the middle of a message");
    if (frame.octets.length > GATEWAY_FRAME_BYTES) throw new ProtocolError("a frame that is too large");
    left -= frame.octets.length;
    if (left < 0) throw new ProtocolError("more octets than announced");
    yield frame.octets;
    send(socket, { ack: ++count });
  }
}

/** The other side may be gone: then nobody waits for it, and what was done stays done. */
function send(socket: WebSocket, frame: Parameters<typeof writeFrame>[0]): void {
  if (socket.readyState === WebSocket.READY_STATE_OPEN) socket.send(writeFrame(frame));
}

function mailOf({ from, body, smtputf8, size }: MailFrame["mail"]) {
  return { from, body, smtputf8, ...(size === undefined ? {} : { size }) };
}
