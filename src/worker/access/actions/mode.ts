/** A person's choice of the mode. */
import type { ModeView } from "../../../core/mode.ts";
import { err, ok, type Result } from "../../../core/result.ts";
import { askDomain, tellDomain } from "../../domain/ask.ts";
import type { Env } from "../../env.ts";
import type { Principal } from "../../identity/principal.ts";
import type { DomainRow } from "../../store/domains.ts";
import { type Problem, unavailable } from "../problem.ts";

export async function chooseMode(
  env: Env,
  principal: Principal,
  domain: DomainRow,
  choice: "normal" | "emergency" | "auto",
): Promise<Result<ModeView, Problem>> {
  if (choice === "emergency" && !domain.continuity) {
    return err({
      status: 409,
      code: "continuity_off",
      detail: `Continuity is off for ${domain.name}, so its mode is always normal. Turn continuity on first.`,
    });
  }
  try {
    // The object may not have heard of a change, or of its domain; where D1 does not answer, it decides by what it has.
    await tellDomain(env, domain.name);
    return ok(await askDomain(env, domain.name, (object) => object.choose(choice, principal.name)));
  } catch (error) {
    console.error(`the object of ${domain.name} did not take the choice of ${choice}:`, error);
    return err(unavailable(`The mode of ${domain.name} may not have changed: look, and try again.`));
  }
}
