/** The little of Node.js's crypto that is used through nodejs_compat; the Worker's types have no Node.js in them. */
declare module "node:crypto" {
  export function scrypt(
    password: Uint8Array,
    salt: Uint8Array,
    length: number,
    options: { N: number; r: number; p: number; maxmem: number },
    callback: (error: Error | null, key: Uint8Array) => void,
  ): void;
  export function timingSafeEqual(a: Uint8Array, b: Uint8Array): boolean;
  export interface Hash {
    update(data: Uint8Array | string): Hash;
    digest(): Uint8Array<ArrayBuffer>;
    digest(encoding: "hex" | "base64url"): string;
  }
  export function createHash(algorithm: "sha256"): Hash;
  export function randomBytes(size: number): Uint8Array;
}
