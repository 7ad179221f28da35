// Runs once for all pages of this server in a browser, and holds the one stream that serves them.

import { Hub, type Said, type Told } from "./stream/hub.ts";

/** A page that says nothing for so many ms has gone without a word; a frozen one comes back by itself. */
const SILENCE = 180_000;

interface Connected {
  onconnect: ((event: MessageEvent) => void) | null;
}

const hub = new Hub<MessagePort>(location.pathname.replace(/\/static\/.*$/, ""));
const heard = new Map<MessagePort, number>();

(globalThis as unknown as Connected).onconnect = ({ ports: [port] }) => {
  if (!port) return;
  port.onmessage = ({ data }: MessageEvent<Said>) => {
    if (data.say === "leave") return leave(port);
    heard.set(port, Date.now());
    if (data.say === "listen") hub.listen(port, data.wish, (told: Told) => port.postMessage(told));
  };
};

function leave(port: MessagePort): void {
  heard.delete(port);
  hub.leave(port);
}

setInterval(() => {
  for (const [port, at] of heard) if (Date.now() - at > SILENCE) leave(port);
}, 30_000);
