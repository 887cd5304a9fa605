/** What becomes of mail that still waits for what is being taken away. */
export function WaitingChoices({ waiting }: { waiting: number }) {
  return (
    <fieldset>
      <legend>{waiting === 1 ? "The message that still waits" : `The ${waiting} messages that still wait`}</legend>
      <label class="option">
        <input type="radio" name="waiting" value="deliver" required /> Deliver: goes to the mail server all the same
      </label>
      <label class="option">
        <input type="radio" name="waiting" value="keep" required /> Keep: stays on Holdfast and is not delivered
      </label>
      <label class="option">
        <input type="radio" name="waiting" value="discard" required /> Discard: leaves the inbox; the archive has a copy
      </label>
    </fieldset>
  );
}
