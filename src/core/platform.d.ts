/**
 * What core may use of the platform: the few globals that workerd, Node.js and browsers have in common. No I/O, no clock
 * but the one handed in, no bindings, no Node.js.
 */
declare class TextEncoder {
  encode(text?: string): Uint8Array<ArrayBuffer>;
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes?: Uint8Array | ArrayBuffer, options?: { stream?: boolean }): string;
}
declare class URL {
  constructor(url: string, base?: string);
  static canParse(url: string): boolean;
  readonly hostname: string;
  readonly port: string;
}
interface SubtleHash {
  digest(algorithm: "SHA-256", data: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer>;
  importKey(
    format: "raw",
    key: Uint8Array<ArrayBuffer>,
    algorithm: { name: "HMAC"; hash: "SHA-256" },
    extractable: boolean,
    usages: ("sign" | "verify")[],
  ): Promise<unknown>;
  sign(algorithm: "HMAC", key: unknown, data: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer>;
  verify(
    algorithm: "HMAC",
    key: unknown,
    signature: Uint8Array<ArrayBuffer>,
    data: Uint8Array<ArrayBuffer>,
  ): Promise<boolean>;
}
declare const crypto: { readonly subtle: SubtleHash };
declare function btoa(binary: string): string;
declare function atob(base64: string): string;
