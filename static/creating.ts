// Keys that make a request for something new safe to send twice: one for each state of a form, kept while the tab lives.

const NAME = "skein-creating:";
/** Where the browser stores nothing, keys hold for this page. */
const here = new Map<string, string>();

/** The key of what is asked for; the same until it is forgotten. */
export function creationKey(state: string): string {
  const known = here.get(state) ?? read(state);
  const key = known ?? fresh();
  here.set(state, key);
  try {
    sessionStorage.setItem(NAME + state, key);
  } catch {
    // It holds for this page only.
  }
  return key;
}

/** The server has answered: the next request for the same is another wish. */
export function forgetKey(state: string): void {
  here.delete(state);
  try {
    sessionStorage.removeItem(NAME + state);
  } catch {
    // Nothing was stored.
  }
}

function read(state: string): string | null {
  try {
    return sessionStorage.getItem(NAME + state);
  } catch {
    return null;
  }
}

/** `crypto.randomUUID` is missing on plain HTTP. */
function fresh(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
