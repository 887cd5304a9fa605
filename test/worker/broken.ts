/** Bindings and stubs of which some calls fail: everything else goes through. */

/** The target with `calls` in the stead of its own. */
export function withCalls<T extends object>(target: T, calls: { readonly [name: string]: unknown }): T {
  return new Proxy(target, {
    get(object, name) {
      if (typeof name === "string" && name in calls) return calls[name];
      const value: unknown = Reflect.get(object, name);
      return typeof value === "function" ? value.bind(object) : value;
    },
  });
}

/** Throws as it is called, before it has had any effect. @param what for example `D1` */
export const down = (what: string) => () => {
  throw new Error(`${what} is down`);
};

/** Rejects, before it has had any effect. */
export const fails = (what: string) => () => Promise.reject(new Error(`${what} is down`));
