/** The little of Node.js's streams that is used through nodejs_compat: what the DKIM signer's body hash is. */
declare module "node:stream" {
  export class Transform {
    once(event: "hash", heard: (hash: string) => void): this;
    once(event: "error", heard: (error: Error) => void): this;
    write(chunk: Uint8Array, written: () => void): boolean;
    end(): this;
    resume(): this;
  }
}
