/** The domain's object hears what an origin said to a final dot in the end. */
import { LATE_FINAL_PAUSE, LATE_FINAL_TELL, LATE_FINAL_TRIES } from "../../core/limits.ts";
import { describeOutcome } from "../../core/outcome.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import type { DomainRpc, LateFinal } from "./contract.ts";

/** Never rejects. An object that hears nothing sends the message again when its time is over: so it is told more than once. */
export async function tellFinal(env: Pick<Env, "DOMAIN">, domain: string, final: LateFinal): Promise<void> {
  for (let tries = 1, pause = LATE_FINAL_PAUSE; ; tries++, pause *= 2) {
    try {
      const object = env.DOMAIN.getByName(domain) as unknown as DomainRpc;
      await within(object.settleFinal(final), LATE_FINAL_TELL, "telling of a late final reply");
      return;
    } catch (error) {
      const said = describeOutcome(final.outcome);
      console.error("the domain's object has not heard of a late reply", domain, said, String(error));
      if (tries === LATE_FINAL_TRIES) return;
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
