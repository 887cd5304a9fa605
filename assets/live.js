// Takes a page's live parts anew where its server says that something has changed. Without this they are as new as the page.
const { events, state } = document.currentScript.dataset;
const PAUSE = 1_000;
let known = state;
let source = null;
let waiting = false;
let last = 0;

function watch() {
  source?.close();
  source = document.hidden ? null : new EventSource(known ? `${events}?since=${known}` : events);
  source?.addEventListener("state", ({ lastEventId }) => soon(lastEventId));
  source?.addEventListener("domain", () => soon());
}

function soon(heard) {
  if (waiting) return;
  waiting = true;
  setTimeout(() => renew(heard), Math.max(0, last + PAUSE - Date.now()));
}

async function renew(heard) {
  waiting = false;
  last = Date.now();
  try {
    const answer = await fetch(location.href);
    // Signed out meanwhile: what is typed stays, and the next act says so.
    if (answer.ok && !answer.redirected) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    known = heard ?? known;
  } catch {
    setTimeout(soon, 10 * PAUSE, heard);
  }
}

function show(page) {
  document.body.className = page.body.className;
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(part.id);
    if (!fresh || fresh.innerHTML === part.innerHTML) continue;
    const focused = part.contains(document.activeElement) && document.activeElement.getAttribute("href");
    part.replaceWith(fresh);
    if (focused) fresh.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
  }
}

document.addEventListener("visibilitychange", watch);
watch();
